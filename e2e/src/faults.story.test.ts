import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import { difference, type EndState } from './faults/end-state.ts';
import type { PullRecord } from './faults/puller.ts';
import { round } from './faults/round.ts';
import { LocalStack } from './stack/local-stack.ts';

const FIRST_SEED = Number(process.env['KUIK_SEED'] ?? Date.now() % 1_000_000);
const SEEDS = Array.from({ length: sized({ usual: 1, full: 10 }) }, (_, index) => FIRST_SEED + index);

let stack: LocalStack;
let calm: EndState;
/** What a round leaves behind, with its own name taken out so that rounds can be compared. */
const linesOf = (state: EndState, name: string): EndState =>
  state
    .filter((line) => line.includes(`/${name}/`))
    .map((line) => line.replaceAll(`/${name}/`, '/round/'))
    .sort();

beforeAll(async () => {
  console.log(`fault rounds with seeds ${SEEDS.join(', ')} (KUIK_SEED=${FIRST_SEED} repeats them)`);
  stack = await LocalStack.start();
  calm = linesOf((await round(stack, 'calm', 0, { calm: true })).state, 'calm');
});
afterAll(() => stack.stop());

describe('whatever dies on the way', () => {
  it.each(SEEDS)('the end is the same and every pull was served (seed %d)', async (seed) => {
    const name = `seed-${seed}`;
    const { state, pulls, killed, resumed } = await round(stack, name, seed, { calm: false });
    const count = (what: (pull: PullRecord) => boolean): number => pulls.filter(what).length;
    console.log(
      `seed ${seed}: ${killed.join(', ')} killed; ${count(({ ok }) => ok)} pulls held, ${count(({ ok, hopeless }) => !ok && hopeless)} could not, ${resumed} bodies went on elsewhere`,
    );
    expect(killed).toHaveLength(stack.processes().length);
    expect(calm.length).toBeGreaterThanOrEqual(12);
    expect(difference(calm, linesOf(state, name))).toEqual([]);
    expect(pulls.length).toBeGreaterThan(10);
    expect(pulls.filter(({ ok, hopeless }) => !ok && !hopeless)).toEqual([]);
  });
});
