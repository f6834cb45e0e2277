import { afterEach, describe, expect, it } from '@jest/globals';
import { KeyedQueue, type KeyedQueueOptions } from './keyed-queue.ts';
import { eventually } from './testing/world.ts';

const open: KeyedQueue[] = [];
afterEach(() => Promise.all(open.splice(0).map((queue) => queue.close())));

function setup(options: Partial<KeyedQueueOptions> = {}) {
  const log: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const queue = new KeyedQueue({
    concurrency: 2,
    spacingMs: 0,
    backoff: { firstMs: 10, maxMs: 20 },
    work: async (key) => {
      log.push(`+${key}`);
      await gates.get(key)?.promise;
      log.push(`-${key}`);
      return undefined;
    },
    onFailure: ({ key, failures }) => log.push(`!${key}${failures}`),
    random: () => 0.5,
    ...options,
  });
  queue.open();
  open.push(queue);
  const hold = (key: string): PromiseWithResolvers<void> => {
    const gate = Promise.withResolvers<void>();
    gates.set(key, gate);
    return gate;
  };
  const saw = (text: string) => eventually(`${text} in ${log.join(' ')}`, () => log.join(' ').includes(text));
  return { queue, log, hold, saw };
}

describe('KeyedQueue', () => {
  it('works on a key once, however often it was added before its turn', async () => {
    const { queue, log, saw } = setup();
    queue.add('a');
    queue.add('a');
    queue.add('b');
    await saw('-b');
    expect(log.filter((entry) => entry === '+a')).toHaveLength(1);
    expect(queue.busy).toBe(0);
  });

  it('never runs a key twice at once; what came meanwhile runs after it, once', async () => {
    const { queue, log, hold, saw } = setup();
    const gate = hold('a');
    queue.add('a');
    await saw('+a');
    queue.add('a');
    queue.add('a');
    expect(log).toEqual(['+a']);
    gate.resolve();
    await saw('+a -a +a -a');
    expect(log).toEqual(['+a', '-a', '+a', '-a']);
  });

  it('runs no more keys at once than it may', async () => {
    const { queue, log, hold, saw } = setup();
    const gates = ['a', 'b', 'c'].map((key) => hold(key));
    ['a', 'b', 'c'].forEach((key) => queue.add(key));
    await saw('+b');
    expect(log).toEqual(['+a', '+b']);
    gates[0]!.resolve();
    await saw('+c');
    gates.forEach(({ resolve }) => resolve());
  });

  it('keeps the earlier of two times', async () => {
    const { queue, log, saw } = setup();
    queue.add('late', 60_000);
    queue.add('late', 1);
    queue.add('late', 30_000);
    await saw('+late');
    expect(log).toContain('+late');
  });

  it('looks again when the work says so', async () => {
    let rounds = 0;
    const { queue } = setup({ work: () => Promise.resolve((rounds += 1) < 3 ? { afterMs: 1 } : undefined) });
    queue.add('a');
    await eventually('three rounds', () => rounds === 3);
  });

  it('backs a failing key off, and forgets the failures when it worked', async () => {
    let rounds = 0;
    const { queue, saw, log } = setup({
      work: () => ((rounds += 1) <= 2 || rounds === 4 ? Promise.reject(new Error('no')) : Promise.resolve(undefined)),
    });
    queue.add('a');
    await saw('!a1 !a2');
    await eventually('success', () => rounds === 3);
    queue.add('a');
    await eventually('another failure', () => log.length === 3);
    expect(log).toEqual(['!a1', '!a2', '!a1']);
  });

  it('spaces the rounds of one key', async () => {
    const starts: number[] = [];
    const { queue } = setup({
      spacingMs: 50,
      work: () => {
        starts.push(performance.now());
        return Promise.resolve(undefined);
      },
    });
    queue.add('a');
    await eventually('first', () => starts.length === 1);
    queue.add('a');
    await eventually('second', () => starts.length === 2);
    expect(starts[1]! - starts[0]!).toBeGreaterThanOrEqual(48);
  });

  it('ends what runs, drops what waits, takes nothing while closed, and may be opened again', async () => {
    const { queue, saw, log, hold } = setup();
    const gate = hold('a');
    queue.add('a');
    queue.add('later', 150);
    await saw('+a');
    const closed = queue.close();
    queue.add('b');
    gate.resolve();
    await closed;
    expect(log).toEqual(['+a', '-a']);
    queue.open();
    queue.add('c', 200);
    await saw('-c');
    expect(log).not.toContain('+later');
  });
});
