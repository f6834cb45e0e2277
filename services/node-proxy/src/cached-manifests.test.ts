import { describe, expect, it } from '@jest/globals';
import { Breaker, RegistryError, type Manifest, type RegistryAccess } from '@kuik/registry';
import { CacheAccess, CacheMiss } from './cache-access.ts';
import { CachedManifests, CHECK_BEFORE_MS, CHECK_BEHIND_MS } from './cached-manifests.ts';

const app = { host: 'registry.example.test', path: 'app' };
const D = `sha256:${'d'.repeat(64)}`;
const manifest: Manifest = { digest: D, mediaType: 'x', size: 4, bytes: Buffer.from('{..}') };

function world(maxBytes = 10_000) {
  const clock = { now: 0 };
  const asked: string[] = [];
  const state = { answer: 'there' as 'there' | 'gone' | 'down' };
  const call = async <T>(what: string, value: T): Promise<T> => {
    asked.push(what);
    if (state.answer === 'gone') throw new RegistryError('not-found', 'no such manifest');
    if (state.answer === 'down') throw new RegistryError('refused', 'connection refused');
    return value;
  };
  const registry = {
    cache: () => ({
      openManifest: () => call('get', manifest),
      headManifest: () => call('head', manifest),
    }),
  } as unknown as Pick<RegistryAccess, 'cache'>;
  const now = () => clock.now;
  const breaker = new Breaker({ failures: 3, openMs: 5000, now });
  const cache = new CacheAccess({ registry, endpoint: { url: 'http://cache' }, breaker });
  return { clock, asked, state, breaker, manifests: new CachedManifests({ cache, maxBytes, now }) };
}

describe('CachedManifests', () => {
  it('fetches once, for many at once, and answers from memory after that', async () => {
    const { manifests, asked } = world();
    const first = await Promise.all([manifests.get(app, D), manifests.get(app, D), manifests.get(app, D)]);
    expect(first.map(({ manifest: { bytes } }) => bytes.toString())).toEqual(['{..}', '{..}', '{..}']);
    expect((await manifests.get(app, D)).fromMemory).toBe(true);
    expect(asked).toEqual(['get']);
  });

  it.each([
    ['fresh', CHECK_BEHIND_MS, true, ['get']],
    ['old: checked behind the answer', CHECK_BEHIND_MS + 1, true, ['get', 'head']],
    ['so old that it is checked first', CHECK_BEFORE_MS + 1, false, ['get', 'head']],
  ])('has at once what is %s', async (_what, age, there, requests) => {
    const { manifests, asked, clock } = world();
    expect(manifests.atOnce(app, D)).toBeUndefined();
    await manifests.get(app, D);
    clock.now = age;
    expect(manifests.atOnce(app, D)).toBe(there ? manifest : undefined);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual(requests);
    expect(manifests.atOnce(app, D)).toBe(manifest);
  });

  it('keeps repositories apart: a digest is no permission', async () => {
    const { manifests, asked } = world();
    await manifests.get(app, D);
    await manifests.get({ ...app, path: 'other' }, D);
    expect(asked).toEqual(['get', 'get']);
  });

  it('checks behind the answer when it gets old, and before it when it is older', async () => {
    const { manifests, asked, clock, state } = world();
    await manifests.get(app, D);
    clock.now = CHECK_BEHIND_MS + 1;
    await manifests.get(app, D);
    await new Promise((resolve) => setImmediate(resolve));
    expect(asked).toEqual(['get', 'head']);
    clock.now += CHECK_BEHIND_MS;
    await manifests.get(app, D);
    expect(asked).toHaveLength(2);
    clock.now += CHECK_BEFORE_MS + 1;
    state.answer = 'gone';
    await expect(manifests.get(app, D)).rejects.toBeInstanceOf(CacheMiss);
    await expect(manifests.get(app, D)).rejects.toBeInstanceOf(CacheMiss);
    expect(asked).toEqual(['get', 'head', 'head', 'get']);
  });

  it('notices a deletion behind an answer', async () => {
    const { manifests, clock, state } = world();
    await manifests.get(app, D);
    clock.now = CHECK_BEHIND_MS + 1;
    state.answer = 'gone';
    expect((await manifests.get(app, D)).fromMemory).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    await expect(manifests.get(app, D)).rejects.toBeInstanceOf(CacheMiss);
  });

  it('answers from memory while the cache is away, also when it is being spared', async () => {
    const { manifests, clock, state, breaker } = world();
    await manifests.get(app, D);
    state.answer = 'down';
    for (let i = 1; i <= 5; i += 1) {
      clock.now += CHECK_BEFORE_MS + 1;
      expect((await manifests.get(app, D)).fromMemory).toBe(true);
    }
    expect(breaker.open).toBe(true);
  });

  it('stays within its bytes', async () => {
    const { manifests } = world(2000);
    for (let i = 0; i < 20; i += 1) await manifests.get({ ...app, path: `app-${i}` }, D);
    expect(manifests.bytes).toBeLessThanOrEqual(2000);
  });
});
