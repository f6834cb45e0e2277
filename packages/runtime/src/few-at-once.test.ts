import { describe, expect, it } from '@jest/globals';
import { FewAtOnce } from './few-at-once.ts';

async function run<T>(turns: FewAtOnce, work: () => Promise<T>, of?: string): Promise<T> {
  const turn = turns.enter(of);
  if (turn !== undefined) await turn;
  try {
    return await work();
  } finally {
    turns.leave(of);
  }
}

/** Work that ends when it is told to; `names`: of each. */
function controlled(turns: FewAtOnce, count: number, names: readonly string[] = []) {
  const begun: number[] = [];
  const ends: ((failed?: boolean) => void)[] = [];
  const results = Array.from({ length: count }, (_, at) => {
    const work = () => {
      begun.push(at);
      return new Promise<number>((resolve, reject) => {
        ends[at] = (failed = false) => (failed ? reject(new Error(`${at}`)) : resolve(at));
      });
    };
    return run(turns, work, names[at]);
  });
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

  it('lets work of one name that waits for its own hold up no other', async () => {
    const most = { a: 1, b: 2 };
    const turns = new FewAtOnce(3, (of) => most[of as 'a' | 'b']);
    const { begun, ends, results } = controlled(turns, 7, ['a', 'a', 'a', 'b', 'b', 'b', 'a']);
    expect(begun).toEqual([0, 3, 4]);
    ends[3]!();
    await results[3];
    expect(begun).toEqual([0, 3, 4, 5]);
    // More may run of it by now: as many as there is room for begin.
    most.a = 2;
    ends[4]!();
    await results[4];
    expect(begun).toEqual([0, 3, 4, 5, 1]);
    ends[5]!();
    await results[5];
    expect(begun).toEqual([0, 3, 4, 5, 1]);
    for (const at of [0, 1]) ends[at]!();
    await Promise.all(results.slice(0, 2));
    expect(begun).toEqual([0, 3, 4, 5, 1, 2, 6]);
    for (const at of [2, 6]) ends[at]!();
    await Promise.all(results);
  });
});
