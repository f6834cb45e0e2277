import { describe, expect, it } from '@jest/globals';
import { project } from '@kuik/contracts';
import { sized } from '@kuik/tooling';
import { Chaos, IMAGES, numbers } from './chaos.fixture.ts';
import { World } from './world.fixture.ts';

const SEEDS = sized({ usual: 10, full: 25 });
const signal = new AbortController().signal;

/** Forty moments of disorder, then calm: what is promised and not there, and what is there and not wanted (or the other way round). */
async function run(seed: number): Promise<{ broken: string[]; left: string[]; trace: string[] }> {
  const world = await World.begin();
  const chaos = new Chaos(world, numbers(seed));
  let gc = world.process();
  const names = Object.keys(IMAGES);
  for (let step = 0; step < 40; step += 1) {
    chaos.something();
    if (!chaos.chance(0.5)) continue;
    world.pass(Math.floor(chaos.random() * 7));
    world.meanwhile = () => {
      if (chaos.chance(0.5)) chaos.rush();
    };
    world.lifetime = chaos.chance(0.5) ? Math.floor(chaos.random() * 12) : undefined;
    chaos.trace.push(`gc ${world.lifetime ?? 'lives'}`);
    try {
      await gc.round(signal);
    } catch (error) {
      chaos.trace.push(`gc ended: ${(error as Error).message}`);
      gc = world.process();
    }
    world.lifetime = undefined;
    world.meanwhile = () => undefined;
  }
  chaos.trace.push('calm');
  gc = world.process();
  for (let round = 0; round < 8; round += 1) {
    for (const name of names) {
      chaos.watch(name);
      chaos.look(name);
      chaos.record(name);
    }
    world.pass(6);
    await gc.round(signal);
  }
  for (const name of names) chaos.watch(name);
  const left = names.filter((name) => !chaos.held.has(name) && world.image(name) !== undefined);
  const missing = names.filter(
    (name) => chaos.held.has(name) && project(world.image(name)!)?.state.digest === undefined,
  );
  return {
    broken: chaos.brokenPromises(),
    left: [...left, ...missing.map((name) => `missing ${name}`)],
    trace: chaos.trace,
  };
}

describe('gc killed at any moment, while everybody else goes on', () => {
  it.each([1, 26, 51, 76, 101, 126])('ends in what was wanted: seeds from %d on', async (first) => {
    for (let seed = first; seed < first + SEEDS; seed += 1) {
      const { broken, left, trace } = await run(seed);
      expect({ seed, broken, left, trace }).toEqual({ seed, broken: [], left: [], trace: expect.any(Array) });
    }
  });
});
