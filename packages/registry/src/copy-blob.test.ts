import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { ALONE, type BlobTurns } from './blob-turns.ts';
import { copyBlob } from './copy-blob.ts';
import { RegistryError } from './errors.ts';
import { memoryRegistry, type MemoryRequest } from './memory.ts';
import { openBlobOver } from './open-blob.ts';
import type { OpenBlob, RepositoryClient } from './port.ts';
import { toldPlaces } from './testing/told-places.ts';

const BYTES = Buffer.from('the bytes of a layer');
const DIGEST = digestOf(BYTES);
const [UP, CACHE] = ['up.test', 'cache.test'];
const OWN = 'up.test/team/app';

/** One blob at the source, held by these repositories of the cache. */
function world(holders: readonly string[] = [], intercept?: (request: MemoryRequest) => void) {
  const registry = memoryRegistry(intercept === undefined ? {} : { intercept });
  registry.putBlob(UP, 'team/app', BYTES, DIGEST);
  for (const holder of holders) registry.putBlob(CACHE, holder, BYTES, DIGEST);
  const target = registry.repository(CACHE, OWN);
  const stop = new AbortController();
  const copy = (
    turns: BlobTurns,
    more: { inline?: Buffer; size?: number; openBlob?: RepositoryClient['openBlob'] } = {},
  ) =>
    copyBlob({
      source: {
        ...registry.repository(UP, 'team/app'),
        ...(more.openBlob === undefined ? {} : { openBlob: more.openBlob }),
      },
      target,
      blob: { mediaType: 'layer', digest: DIGEST, size: more.size ?? BYTES.length },
      turns,
      inline: more.inline,
      chunkBytes: 1_000,
      signal: stop.signal,
      onBytes: () => undefined,
    });
  const asked = () =>
    registry.requests.map(({ host, operation }) => `${host === UP ? 'source' : 'target'} ${operation}`);
  return { copy, asked, target, stop };
}
const refuses =
  (operation: MemoryRequest['operation'], host: string, error: RegistryError) =>
  (request: MemoryRequest): void => {
    if (request.operation === operation && request.host === host) throw error;
  };
const denied = new RegistryError('forbidden', 'denied', { status: 403 });
const limited = new RegistryError('rate-limited', 'slow down', { status: 429 });

const PROOF = 'source head-blob';
const MOUNT = 'target upload';
const FETCH = 'source open-blob';

describe('copyBlob', () => {
  it.each<[string, string[], string[], string, string[], string]>([
    ['nothing known: one request tells and opens the session', [], [], 'copied', [MOUNT, FETCH], `ended ${OWN}`],
    ['nothing known, it was there', [OWN], [], 'present', [MOUNT], `ended ${OWN}`],
    ['known in this repository', [OWN], [OWN], 'present', ['target head-blob'], `landed ${OWN}`],
    ['wrongly known in this repository', [], [OWN], 'copied', ['target head-blob', MOUNT, FETCH], `ended ${OWN}`],
    ['known in a sibling', ['a/b'], ['a/b'], 'mounted', [PROOF, MOUNT], `landed ${OWN}`],
    ['known in the second sibling', ['c/d'], ['a/b', 'c/d'], 'mounted', [PROOF, MOUNT, MOUNT], `landed ${OWN}`],
    [
      'a sibling lost it: its session is used, no other look',
      [],
      ['a/b'],
      'copied',
      [PROOF, MOUNT, FETCH],
      `ended ${OWN}`,
    ],
    [
      'no more than two are tried',
      ['e/f'],
      ['a/b', 'c/d', 'e/f'],
      'copied',
      [PROOF, MOUNT, MOUNT, FETCH],
      `ended ${OWN}`,
    ],
  ])('%s', async (_what, holders, known, outcome, requests, told) => {
    const { copy, asked, target } = world(holders);
    const turns = toldPlaces(() => known);
    expect(await copy(turns)).toBe(outcome);
    expect(asked()).toEqual(requests);
    expect(turns.told).toEqual([told]);
    expect(await target.headBlob(DIGEST)).toEqual({ size: BYTES.length });
  });

  it('mounts nothing that the source would not hand out', async () => {
    const { copy, asked, target } = world(['a/b'], (request) => {
      if (request.host === UP) throw denied;
    });
    const turns = toldPlaces(() => ['a/b']);
    await expect(copy(turns)).rejects.toMatchObject({ code: 'forbidden' });
    expect(asked()).toEqual([PROOF, MOUNT, FETCH]);
    expect(await target.headBlob(DIGEST)).toBeUndefined();
    expect(turns.told).toEqual(['ended with nothing']);
  });

  it('mounts nothing whose size is not what the manifest says', async () => {
    const { copy, target } = world(['a/b']);
    await expect(
      copy(
        toldPlaces(() => ['a/b']),
        { size: BYTES.length + 1 },
      ),
    ).rejects.toMatchObject({
      code: 'digest-mismatch',
    });
    expect(await target.headBlob(DIGEST)).toBeUndefined();
  });

  it.each<[string, (request: MemoryRequest) => void, string[]]>([
    ['does not answer HEAD', refuses('head-blob', UP, denied), [PROOF, MOUNT, FETCH]],
    [
      'may not be mounted from',
      ({ operation, reference }) => {
        if (operation === 'upload' && reference !== undefined) throw denied;
      },
      [PROOF, MOUNT, MOUNT, MOUNT, FETCH],
    ],
  ])('is sent when the registry %s', async (_what, intercept, requests) => {
    const { copy, asked } = world(['a/b'], intercept);
    expect(await copy(toldPlaces(() => ['a/b']))).toBe('copied');
    expect(asked()).toEqual(requests);
  });

  it('asks a source no more that has had enough', async () => {
    const { copy, asked } = world(['a/b'], refuses('head-blob', UP, limited));
    await expect(copy(toldPlaces(() => ['a/b']))).rejects.toMatchObject({ code: 'rate-limited' });
    expect(asked()).toEqual([PROOF]);
  });

  it('takes no turn for bytes that are at hand, and says where they are', async () => {
    const { copy, asked } = world(['a/b']);
    const turns = toldPlaces(() => ['a/b']);
    expect(await copy(turns, { inline: BYTES })).toBe('copied');
    expect(asked()).toEqual([MOUNT]);
    expect(turns.told).toEqual([`landed ${OWN}`]);
  });

  it('goes on by itself when turns cannot be had, or never end', async () => {
    const broken = { take: () => Promise.reject(new Error('no turns')), landed: () => undefined };
    expect(await world().copy(broken)).toBe('copied');
    let looks = 0;
    const misled: BlobTurns = {
      ...broken,
      take: () => Promise.resolve({ do: 'look', in: [`nobody/${(looks += 1)}`] }),
    };
    expect(await world().copy(misled)).toBe('copied');
    expect(looks).toBeLessThan(10);
  });

  it.each([
    ['right at once', [BYTES], 'copied'],
    ['wrong, then right: the registry has the last word', [Buffer.from('other bytes, as many'), BYTES], 'copied'],
    ['wrong again', [Buffer.from('other bytes, as many'), Buffer.from('once more wrong ones')], 'rejected'],
  ])('hashes nothing that its source vouches for: %s', async (_what, given, outcome) => {
    const { copy, target } = world();
    const vouching = (): OpenBlob => {
      const bytes = given.shift()!;
      const body = { totalSize: bytes.length, offset: 0, length: bytes.length, contentType: '', vouched: true };
      return openBlobOver({ ...body, pump: async (sink) => sink(bytes), cancel: () => undefined });
    };
    const copying = copy(ALONE, { openBlob: () => Promise.resolve(vouching()) });
    expect(await copying.catch((error: RegistryError) => error.code)).toBe(outcome);
    expect(given).toEqual([]);
    expect(await target.headBlob(DIGEST)).toEqual(outcome === 'copied' ? { size: BYTES.length } : undefined);
  });

  it('waits for the turn, and stops waiting when the caller does', async () => {
    const { copy, asked, stop } = world();
    const patient: BlobTurns = {
      take: (_digest, { signal }) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
      landed: () => undefined,
    };
    const running = copy(patient);
    stop.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
    expect(asked()).toEqual([]);
  });
});
