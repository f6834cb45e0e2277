import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { TRANSFER_ACCESS_HEADER, TRANSFER_PIECES_HEADER } from '@kuik/contracts';
import { digestOf } from '@kuik/image';
import { createRegistryAccess, openResuming, type CacheEndpoint, type RegistryError } from '@kuik/registry';
import { makeImage, until, type MadeImage } from '@kuik/testbed';
import { startCopierWorld, type Copier, type CopierWorld } from './testing/copier-world.ts';

const HOST = 'registry.example.test';
const MiB = 1024 * 1024;

let world: CopierWorld;
let copiers: Copier[];
const registry = createRegistryAccess({ cache: { connectMs: 500, headersMs: 5_000, idleMs: 5_000 } });
beforeAll(async () => {
  world = await startCopierWorld([HOST]);
  copiers = await Promise.all([world.start(), world.start()]);
}, 90_000);
afterAll(async () => {
  await world?.close();
  await registry.close();
});
afterEach(() => {
  world.faults.host(HOST).clear();
  world.faults.log.reset();
});

/** A copier as a node proxy would ask it, by the readers' key. */
function door(url: string, key = world.stack.cache.readerKey, by = registry, own: Record<string, string> = {}) {
  const { issuer, audience, privateKey: keyPem, certificate: certificatePem } = key;
  const signer = { issuer, audience, keyPem, certificatePem, actions: ['pull' as const] };
  const endpoint: CacheEndpoint = { url, signer, trusted: ['127.0.0.1'] };
  return (repository: string) =>
    by.cache(endpoint, `${HOST}/${repository}`, { headers: { [TRANSFER_ACCESS_HEADER]: 'anonymous', ...own } });
}

/** Reads a blob through these copiers, from the next one when one breaks; the gate of a whole body is the reader's, as in a proxy. */
async function pull(urls: readonly string[], repository: string, digest: string): Promise<string> {
  const sources = urls.map((url) => ({
    name: url,
    open: (at: { offset: number }) => door(url)(repository).openBlob(digest, { ...at, verify: false }),
  }));
  const parts: Buffer[] = [];
  const blob = await openResuming({ sources, digest, rounds: 40 });
  await blob.deliver((chunk) => void parts.push(Buffer.from(chunk)));
  return digestOf(Buffer.concat(parts));
}
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'read',
    (error: RegistryError) => `${error.code} ${error.status ?? ''}`.trim(),
  );

async function push(repository: string, bytes: number): Promise<{ made: MadeImage; layer: string }> {
  const made = await makeImage({ seed: repository, layers: [{ bytes, seed: repository, encoding: 'raw' }] });
  await world.faults.push(HOST, repository, ['1'], made);
  return { made, layer: made.blobs.find(({ size }) => size === bytes)!.digest };
}
const reads = (digest: string) =>
  world.faults.log.requests({ kind: 'blob', method: 'GET' }).filter(({ reference }) => reference === digest);
const egress = (digest: string): number => reads(digest).reduce((sum, { bytes }) => sum + bytes, 0);
const cached = async (repository: string, digest: string): Promise<boolean> =>
  (await world.readCache(`${HOST}/${repository}`, `blobs/${digest}`, 'HEAD')).status === 200;

describe('copiers that give away what they read', () => {
  const urls = (): string[] => copiers.map(({ transfersUrl }) => transfersUrl);

  it('read a blob from upstream once for pulls and copies, whichever comes first, and keep it', async () => {
    const { made, layer } = await push('once', 8 * MiB);
    const pulls = Array.from({ length: 8 }, (_, i) => pull([urls()[i % 2]!], 'once', layer));
    expect(new Set(await Promise.all(pulls))).toEqual(new Set([layer]));
    expect([reads(layer).length, egress(layer)]).toEqual([1, 8 * MiB]);
    await until(() => cached('once', layer), { what: 'the blob of the pulls to be in the cache' });
    const { stanza } = await world.copied(`${HOST}/once:1`);
    expect([stanza.digest, reads(layer).length]).toEqual([made.digest, 1]);

    const later = await push('later', 8 * MiB);
    world.faults
      .host(HOST)
      .on({ kind: 'blob', method: 'GET', reference: later.layer })
      .drip(16 * MiB);
    const copy = world.copied(`${HOST}/later:1`);
    await world.faults.log.untilRequest(
      ({ reference, bytes }) => reference === later.layer && bytes > 0,
      10_000,
      'a copy',
    );
    expect(await Promise.all(urls().map((url) => pull([url], 'later', later.layer)))).toEqual([
      later.layer,
      later.layer,
    ]);
    expect([(await copy).stanza.digest, egress(later.layer)]).toEqual([later.made.digest, 8 * MiB]);
  });

  it('read a layer once for a client that fetches its pieces in parallel, each to the end as far as it tells', async () => {
    const [bytes, piece] = [32 * MiB, 4 * MiB];
    const { layer } = await push('pieces', bytes);
    world.faults
      .host(HOST)
      .on({ kind: 'blob', method: 'GET', reference: layer })
      .drip(64 * MiB);
    const offsets = Array.from({ length: bytes / piece }, (_, i) => i * piece);
    const parts: Buffer[] = [];
    const asked = door(urls()[0]!, undefined, undefined, { [TRANSFER_PIECES_HEADER]: '1' });
    const fetchPiece = async (offset: number): Promise<void> => {
      const blob = await asked('pieces').openBlob(layer, { offset, verify: false });
      const enough = new AbortController();
      const got: Buffer[] = [];
      let left = piece;
      await blob
        .deliver((chunk) => {
          got.push(Buffer.from(chunk.subarray(0, left)));
          left -= Math.min(left, chunk.length);
          if (left === 0) enough.abort();
          return undefined;
        }, enough.signal)
        .catch((error: unknown) => {
          if (!enough.signal.aborted) throw error;
        });
      parts[offset / piece] = Buffer.concat(got);
    };
    const worker = async (): Promise<void> => {
      for (let offset = offsets.shift(); offset !== undefined; offset = offsets.shift()) await fetchPiece(offset);
    };
    await Promise.all([1, 2, 3, 4].map(worker));
    expect(digestOf(Buffer.concat(parts))).toBe(layer);
    await until(() => cached('pieces', layer), { what: 'the layer to be in the cache' });
    expect([egress(layer) / bytes, reads(layer).length]).toEqual([1, 4]);
  });

  it('pass on what upstream says, and let nobody in who has not our key', async () => {
    const { layer } = await push('private', 64 * 1024);
    await push('other', 64 * 1024);
    world.faults.host(HOST).on({ kind: 'blob', repository: 'private' }).unauthorized('none');
    const [url] = urls();
    expect(await codeOf(door(url!)('private').openBlob(layer))).toBe('unauthorized 401');
    expect(await codeOf(door(url!)('other').openBlob(layer))).toBe('not-found 404');
    const stranger = { ...world.stack.cache.readerKey, privateKey: world.stack.cache.writerKey.privateKey };
    const strangers = createRegistryAccess();
    expect(await codeOf(door(url!, stranger, strangers)('private').openBlob(layer))).toBe('server-error 503');
    await strangers.close();
    const plain = (target: string, headers = {}) => fetch(`${url}${target}`, { headers });
    const named = `/v2/${HOST}/private/blobs/${layer}`;
    expect((await plain(named, { [TRANSFER_ACCESS_HEADER]: 'anonymous' })).status).toBe(503);
    expect((await plain(named)).status).toBe(400);
  });
});
