import { describe, expect, it } from '@jest/globals';
import { FewAtOnce } from './few-at-once.ts';

async function run<T>(turns: FewAtOnce, work: () => Promise<T>): Promise<T> {
  const turn = turns.enter();
  if (turn !== undefined) await turn;
  try {
    return await work();
  } finally {
    turns.leave();
  }
}

/** Work that ends when it is told to. */
function controlled(turns: FewAtOnce, count: number) {
  const begun: number[] = [];
  const ends: ((failed?: boolean) => void)[] = [];
  const results = Array.from({ length: count }, (_, at) =>
    run(turns, () => {
      begun.push(at);
      return new Promise<number>((resolve, reject) => {
        ends[at] = (failed = false) => (failed ? reject(new Error(`${at}`)) : resolve(at));
      });
    }),
  );
  return { begun, ends, results };
}

describe('FewAtOnce', () => {
  it('begins as many as may run, and the next when one ends, well or not', async () => {
    const turns = new FewAtOnce(2);
    const { begun, ends, results } = controlled(turns, 4);
    expect(begun).toEqual([0, 1]);
    ends[1]!();
    expect(await results[1]).toBe(1);
    expect(begun).toEqual([0, 1, 2]);
    ends[0]!(true);
    await expect(results[0]).rejects.toThrow('0');
    expect(begun).toEqual([0, 1, 2, 3]);
    ends[2]!();
    ends[3]!();
    await Promise.all(results.slice(2));
  });

  it('lets the same number run after many took turns', async () => {
    const turns = new FewAtOnce(3);
    let [running, most] = [0, 0];
    const work = async (): Promise<void> => {
      most = Math.max(most, (running += 1));
      await Promise.resolve();
      running -= 1;
    };
    await Promise.all(Array.from({ length: 50 }, () => run(turns, work)));
    await Promise.all(Array.from({ length: 50 }, () => run(turns, work)));
    expect({ most, running }).toEqual({ most: 3, running: 0 });
  });
});
