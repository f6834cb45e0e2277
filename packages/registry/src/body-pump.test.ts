import { describe, expect, it } from '@jest/globals';
import { BodyPump } from './body-pump.ts';

/** A source that has what was put into it; what happens is noted in order. */
function pumping(length: number, early = '', sink: (text: string) => Promise<void> | undefined = () => undefined) {
  const log: string[] = [];
  const waiting: string[] = [];
  let failure: Error | undefined;
  const pump = new BodyPump(
    length,
    Buffer.from(early),
    (chunk) => {
      log.push(chunk.toString());
      return sink(chunk.toString());
    },
    {
      take() {
        const next = waiting.shift();
        if (next === undefined && failure !== undefined) throw failure;
        return next === undefined ? undefined : Buffer.from(next);
      },
      release: () => void log.push('released'),
      lack: () => void log.push('lacks'),
    },
  );
  const come = (...texts: string[]): void => {
    waiting.push(...texts);
    pump.drive();
  };
  const fail = (error: Error): void => {
    failure = error;
    pump.drive();
  };
  return { log, pump, come, fail };
}

describe('BodyPump', () => {
  it('hands on what came early, then what comes, and gives back what is the source’s', async () => {
    const { log, pump, come } = pumping(9, 'the ');
    come();
    come('bo', 'd');
    come('y.');
    await pump.done;
    expect(log).toEqual(['the ', 'lacks', 'bo', 'released', 'd', 'released', 'lacks', 'y.', 'released']);
    expect(pump.delivered).toBe(9);
  });

  it('gives a busy sink nothing before it is done', async () => {
    const busy = Promise.withResolvers<void>();
    const { log, pump, come } = pumping(4, '', (text) => (text === 'bo' ? busy.promise : undefined));
    come('bo');
    come('dy');
    expect([log, pump.delivered]).toEqual([['bo'], 0]);
    busy.resolve();
    await pump.done;
    expect(log).toEqual(['bo', 'released', 'dy', 'released']);
  });

  it('hands on what came before the source failed, and tells how much that was', async () => {
    const { pump, come, fail } = pumping(4);
    come('bo');
    fail(new Error('gone'));
    await expect(pump.done).rejects.toThrow('gone');
    expect(pump.delivered).toBe(2);
  });

  it.each([
    [
      'throws',
      () =>
        void (() => {
          throw new Error('the client left');
        })(),
    ],
    ['rejects', () => Promise.reject(new Error('the client left'))],
  ])('ends with the error of a sink that %s, and hands on nothing more', async (_how, sink) => {
    const { log, pump, come } = pumping(4, '', sink);
    come('bo');
    await expect(pump.done).rejects.toThrow('the client left');
    come('dy');
    expect([log, pump.delivered]).toEqual([['bo'], 0]);
  });
});
