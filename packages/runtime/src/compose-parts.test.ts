import { describe, expect, it } from '@jest/globals';
import { composeParts } from './compose-parts.ts';
import type { Part } from './port.ts';

function bench(): { told: string[]; part: (name: string, bend?: Partial<Part>) => Part } {
  const told: string[] = [];
  const part = (name: string, bend: Partial<Part> = {}): Part => ({
    name,
    start: async () => void told.push(`start ${name}`),
    close: async () => void told.push(`close ${name}`),
    ...bend,
  });
  return { told, part };
}

describe('composeParts', () => {
  it('starts in order and closes in reverse, once', async () => {
    const { told, part } = bench();
    const app = composeParts([part('a'), part('b'), { name: 'bare' }]);
    await app.start();
    await Promise.all([app.close(), app.close()]);
    await app.close();
    expect(told).toEqual(['start a', 'start b', 'close b', 'close a']);
  });

  it('closes what was begun when a part cannot start, and tells why', async () => {
    const { told, part } = bench();
    const app = composeParts([part('a'), part('b', { start: () => Promise.reject(new Error('no port')) }), part('c')]);
    await expect(app.start()).rejects.toThrow('no port');
    expect(told).toEqual(['start a', 'close b', 'close a']);
  });

  it('passes over a part that fails or hangs at its end', async () => {
    const { told, part } = bench();
    const app = composeParts(
      [
        part('a'),
        part('b', { close: () => new Promise(() => undefined) }),
        part('c', { close: () => Promise.reject(new Error('x')) }),
      ],
      { closeMs: 5 },
    );
    await app.start();
    await app.close();
    expect(told).toEqual(['start a', 'start b', 'start c', 'close a']);
  });

  it('ends a start under way through its signal', async () => {
    const { told, part } = bench();
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const hanging = (signal: AbortSignal): Promise<void> => {
      resolve();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    };
    const app = composeParts([part('a'), part('b', { start: hanging }), part('c')]);
    const starting = app.start();
    starting.catch(() => undefined);
    await reached;
    await app.close();
    await expect(starting).rejects.toThrow('aborted');
    expect(told).toEqual(['start a', 'close b', 'close a']);
  });

  it('names the parts that are not ready', async () => {
    const { part } = bench();
    let reason: string | undefined = 'not synced';
    const app = composeParts([part('a'), part('b', { notReady: () => reason })]);
    expect(app.notReady()).toEqual([
      { part: 'a', reason: 'starting' },
      { part: 'b', reason: 'starting' },
    ]);
    await app.start();
    expect(app.notReady()).toEqual([{ part: 'b', reason: 'not synced' }]);
    reason = undefined;
    expect(app.notReady()).toEqual([]);
    await app.close();
    expect(app.notReady()).toEqual([{ part: 'app', reason: 'closing' }]);
  });
});
