import { describe, expect, it } from '@jest/globals';
import {
  Breaker,
  RegistryError,
  type RegistryAccess,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import { CacheAccess, CacheDown, CacheMiss } from './cache-access.ts';

const REPOSITORY = { host: 'a.example', path: 'app' };

/** A cache whose every call ends with this code, asked as often as the breaker allows failures. */
async function afterFailures(code: RegistryErrorCode): Promise<{ thrown: unknown; open: boolean }> {
  const breaker = new Breaker({ failures: 3, openMs: 5000, now: () => 0 });
  const registry = { cache: () => ({}) as RepositoryClient } as Pick<RegistryAccess, 'cache'>;
  const cache = new CacheAccess({ registry, endpoint: { url: 'http://cache' }, breaker });
  let thrown: unknown;
  for (let call = 0; call < 3; call += 1) {
    thrown = await cache
      .ask(REPOSITORY, 'x', () => Promise.reject(new RegistryError(code, code)))
      .catch((error: unknown) => error);
  }
  return { thrown, open: breaker.open };
}

describe('CacheAccess', () => {
  it.each<RegistryErrorCode>(['refused', 'timeout', 'server-error', 'truncated', 'unauthorized'])(
    'spares a cache that answers %s',
    async (code) => {
      const { thrown, open } = await afterFailures(code);
      expect(thrown).toBeInstanceOf(CacheDown);
      expect(open).toBe(true);
    },
  );

  it.each<RegistryErrorCode>(['too-large', 'invalid-response', 'rejected'])(
    'lets one bad object (%s) fall through without closing the cache for the others',
    async (code) => {
      const { thrown, open } = await afterFailures(code);
      expect(thrown).toBeInstanceOf(CacheDown);
      expect(open).toBe(false);
    },
  );

  it.each<RegistryErrorCode>(['not-found', 'digest-mismatch'])(
    'tells "does not have it" (%s) from "cannot be asked"',
    async (code) => {
      const { thrown, open } = await afterFailures(code);
      expect(thrown).toBeInstanceOf(CacheMiss);
      expect(open).toBe(false);
    },
  );

  it('lets nobody wait for a turn twice as long as it takes to see that it does not answer, however many insist', async () => {
    const breaker = new Breaker({ failures: 3, openMs: 5000, now: () => 0 });
    const registry = { cache: () => ({}) as RepositoryClient } as Pick<RegistryAccess, 'cache'>;
    const cache = new CacheAccess({ registry, endpoint: { url: 'http://cache' }, breaker });
    for (let time = 0; time < 3; time += 1) breaker.failed();
    const hung: (() => void)[] = [];
    const hang = (): Promise<never> =>
      new Promise((_resolve, reject) => hung.push(() => reject(new RegistryError('timeout', 'no answer'))));
    const insisting = Array.from({ length: 100 }, () =>
      cache.ask(REPOSITORY, 'x', hang, { insist: true }).catch((error: CacheDown) => error.spared),
    );
    await Promise.resolve();
    const asked = hung.length;
    expect(asked).toBeLessThan(insisting.length);
    // Who does not insist has not to wait for those.
    await expect(cache.ask(REPOSITORY, 'x', hang)).rejects.toMatchObject({ spared: true });
    for (const end of hung.splice(0)) end();
    const ends = await Promise.all(insisting);
    expect([hung.length, ends.filter((spared) => !spared).length]).toEqual([0, asked]);
  });

  it('lets all who insist ask when it is back', async () => {
    const breaker = new Breaker({ failures: 1, openMs: 5000, now: () => 0 });
    const registry = { cache: () => ({}) as RepositoryClient } as Pick<RegistryAccess, 'cache'>;
    const cache = new CacheAccess({ registry, endpoint: { url: 'http://cache' }, breaker });
    breaker.failed();
    const insisting = Array.from({ length: 100 }, () =>
      cache.ask(REPOSITORY, 'x', () => Promise.resolve('bytes'), { insist: true }),
    );
    expect(new Set(await Promise.all(insisting))).toEqual(new Set(['bytes']));
  });

  it('tells what the cache does not have, or not right, and nothing when it cannot be asked', async () => {
    const missed: string[] = [];
    const wrong: string[] = [];
    const cache = new CacheAccess({
      registry: { cache: () => ({}) as RepositoryClient },
      endpoint: { url: 'http://cache' },
      breaker: new Breaker({ failures: 3, openMs: 5000, now: () => 0 }),
      onMiss: ({ host, path }, what) => missed.push(`${host}/${path} ${what}`),
      onWrong: ({ host, path }, what) => wrong.push(`${host}/${path} ${what}`),
    });
    for (const code of ['not-found', 'digest-mismatch', 'timeout', 'range-not-satisfiable', 'aborted'] as const) {
      await cache.ask(REPOSITORY, code, () => Promise.reject(new RegistryError(code, code))).catch(() => undefined);
    }
    expect(missed).toEqual(['a.example/app not-found']);
    expect(wrong).toEqual(['a.example/app digest-mismatch']);
  });
});
