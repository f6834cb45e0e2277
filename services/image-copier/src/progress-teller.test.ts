import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { CachedImage, CacheStanza } from '@kuik/contracts';
import { silentLogger } from '@kuik/runtime';
import { ProgressTeller } from './progress-teller.ts';

const NOW = Date.parse('2026-11-21T10:00:00Z');
const AFTER = 2_000;
const EVERY = 60_000;

function setup(cache?: CacheStanza) {
  const world = { uid: 'u1', stanza: cache, conflicts: 0, failures: 0, calls: [] as string[] };
  const object = (): CachedImage => ({
    metadata: { name: 'app', uid: world.uid, resourceVersion: '7' },
    spec: { sourceImage: 'a.b/c:1' },
    status: world.stanza === undefined ? {} : { cache: JSON.parse(JSON.stringify(world.stanza)) as CacheStanza },
  });
  const abort = new AbortController();
  const parts = {
    read: () => {
      world.calls.push('read');
      if (world.failures-- > 0) return Promise.reject(new Error('API server away'));
      return Promise.resolve(object());
    },
    writeUnchanged: (_image: CachedImage, stanza: CacheStanza) => {
      world.calls.push('write');
      if (world.conflicts-- > 0) return Promise.resolve(undefined);
      world.stanza = stanza;
      return Promise.resolve(object());
    },
    clock: { now: () => NOW, monotonic: () => 0 },
    log: silentLogger,
    progressAfterMs: AFTER,
    progressEveryMs: EVERY,
  };
  const teller = new ProgressTeller(object(), parts, abort.signal);
  const pass = async (ms: number): Promise<void> => {
    await jest.advanceTimersByTimeAsync(ms);
    // What a timer began answers within a few turns: everything it asks is in memory.
    await jest.advanceTimersByTimeAsync(0);
  };
  return { world, teller, pass, abort };
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

describe('ProgressTeller', () => {
  it('tells nothing of a job that was taken away', async () => {
    const { world, teller, pass, abort } = setup();
    abort.abort();
    await pass(10 * EVERY);
    expect(world.calls).not.toContain('write');
    await teller.stop();
  });

  it('asks the API server nothing for a copy that ends sooner', async () => {
    const { world, teller, pass } = setup();
    await pass(AFTER - 1);
    await teller.stop();
    await pass(10 * EVERY);
    expect(world.calls).toEqual([]);
  });

  it('tells how far a long one is, now and then, and keeps what the stanza says', async () => {
    const cache: CacheStanza = { forUid: 'u1', digest: 'sha256:old', error: { code: 'x', message: 'y', at: 'z' } };
    const { world, teller, pass } = setup(cache);
    await pass(AFTER);
    const since = '2026-11-21T10:00:00.000Z';
    const until = '2026-11-21T10:02:30.000Z';
    expect(world.stanza).toEqual({ ...cache, copying: { since, until } });
    teller.reached({ bytesDone: 5, bytesTotal: 9, step: '' });
    await pass(EVERY - 1);
    expect(world.calls).toHaveLength(2);
    await pass(1);
    expect(world.stanza).toEqual({ ...cache, copying: { since, until, bytesDone: 5, bytesTotal: 9 } });
    await teller.stop();
    await pass(10 * EVERY);
    expect(world.calls).toHaveLength(4);
  });

  it.each<[string, (world: ReturnType<typeof setup>['world']) => void]>([
    ['has recorded a result', (world) => (world.stanza = { forUid: 'u1', digest: 'sha256:new' })],
    ['copies it now', (world) => (world.stanza = { forUid: 'u1', copying: { since: 'later', until: 'much later' } })],
    ['made the object anew', (world) => (world.uid = 'u2')],
  ])('falls silent when somebody else %s', async (_name, bend) => {
    const { world, teller, pass } = setup();
    await pass(AFTER);
    bend(world);
    const [stanza, writes] = [world.stanza, world.calls.filter((call) => call === 'write').length];
    await pass(10 * EVERY);
    expect(world.stanza).toBe(stanza);
    expect(world.calls.filter((call) => call === 'write')).toHaveLength(writes);
    await teller.stop();
  });

  it('tries again soon when somebody wrote in between, and at its pace when the API server is away', async () => {
    const { world, teller, pass } = setup();
    world.conflicts = 1;
    await pass(AFTER);
    expect(world.stanza).toBeUndefined();
    await pass(AFTER);
    expect(world.stanza?.copying).toBeDefined();
    world.failures = 1;
    await pass(EVERY);
    const calls = world.calls.length;
    await pass(EVERY);
    expect(world.calls.slice(calls)).toEqual(['read', 'write']);
    await teller.stop();
  });
});
