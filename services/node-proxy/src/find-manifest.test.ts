import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { Manifest, ManifestHead, RepositoryClient } from '@kuik/registry';
import { CacheMiss, type CacheAccess } from './cache-access.ts';
import type { CachedManifests } from './cached-manifests.ts';
import { FindManifest } from './find-manifest.ts';
import { TagChecks } from './tag-checks.ts';
import type { UpstreamAccess } from './upstream-access.ts';

const digest = (letter: string): string => `sha256:${letter.repeat(64)}`;
const [KEPT, NEXT] = [digest('a'), digest('b')];
const manifest = (of: string): Manifest => ({ digest: of, mediaType: 'm', size: 1, bytes: Buffer.from('x') });
const PATIENCE_MS = 2_000;

/** Tags that are checked at every pull, of which the cache has `KEPT`; upstream answers each question when `answer` says so. */
function world() {
  const told = { now: 0 };
  const asked = new Map<string, PromiseWithResolvers<ManifestHead>>();
  const question = (name: string): PromiseWithResolvers<ManifestHead> => {
    const known = asked.get(name) ?? Promise.withResolvers<ManifestHead>();
    asked.set(name, known);
    return known;
  };
  const client = {
    headManifest: (reference: string) => question(reference).promise,
    openManifest: (reference: string) => question(reference).promise,
  } as unknown as RepositoryClient;
  const find = new FindManifest({
    cache: {} as CacheAccess,
    manifests: {
      holds: () => false,
      get: (_repository: object, of: string) =>
        of === KEPT
          ? Promise.resolve({ manifest: manifest(of), fromMemory: true })
          : Promise.reject(new CacheMiss('not there')),
    } as unknown as CachedManifests,
    upstream: {
      ask: (_repository: object, _id: string, work: (of: RepositoryClient) => unknown) => work(client),
    } as UpstreamAccess,
    tags: {
      of: ({ tag: reference }) =>
        Promise.resolve({
          state: { reference: reference!, uid: 'u', resourceVersion: '1', digest: KEPT, check: { everyMs: 0 } },
          confirmedAtMs: told.now,
        }),
      known: () => undefined,
    },
    tagMemoryMs: 0,
    patienceMs: PATIENCE_MS,
    silentMs: 10_000,
    checks: new TagChecks({ atMostEveryMs: 5_000, entries: 10, now: () => told.now }),
    checkPatienceMs: PATIENCE_MS,
    strict: new Set(),
    onCheck: () => undefined,
    onMoved: () => undefined,
    now: () => told.now,
  });
  const pull = async (tag: string) => {
    const request = { repositories: [{ host: 'up.test', path: 'app' }], reference: { tag } };
    const found = await find.find(request, { headOnly: false, requestId: 'r-1' });
    return [found.digest, found.step.reason];
  };
  /** Upstream answers what it was asked, or will be. */
  const answer = (name: string, of: string): void => question(name).resolve(manifest(of));
  const again = (name: string): void => void asked.delete(name);
  return { told, pull, answer, again };
}

/** A pull of `moved`: naming the new digest took all the time that there was. */
async function lateMove() {
  const one = world();
  const pulled = one.pull('moved');
  await turn();
  one.told.now += PATIENCE_MS;
  one.answer('moved', NEXT);
  expect(await pulled).toEqual([KEPT, 'CheckFailed']);
  return one;
}

describe('a manifest that upstream gives too late, of a tag that moved', () => {
  it('says nothing of other tags of its registry: they are waited for', async () => {
    const { pull, answer } = await lateMove();
    const other = pull('other');
    // Who has no patience serves what is kept by then.
    await turn();
    await sleep(2);
    answer('other', KEPT);
    expect(await other).toEqual([KEPT, 'TagChecked']);
  });

  it('is not waited for again', async () => {
    const { told, pull, answer, again } = await lateMove();
    expect(await pull('moved')).toEqual([KEPT, 'CheckFailed']);
    told.now += 5_000;
    again('moved');
    answer('moved', NEXT);
    expect(await pull('moved')).toEqual([KEPT, 'CheckFailed']);
  });

  it('is there for who pulls a while later', async () => {
    const { told, pull, answer, again } = await lateMove();
    answer(NEXT, NEXT);
    await turn();
    told.now += 6_000;
    for (const name of ['moved', NEXT]) again(name);
    const pulled = pull('moved');
    await turn();
    told.now += PATIENCE_MS;
    answer('moved', NEXT);
    expect(await pulled).toEqual([NEXT, 'TagChecked']);
  });
});
