import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { readBlob } from './open-blob.ts';
import type { Credential } from './port.ts';
import { blobSource, openResuming } from './resume.ts';
import { HUB, LAYER, startNamedUpstreams, type NamedUpstreams } from './testing/named-upstreams.ts';

let upstreams: NamedUpstreams;
let faults: NamedUpstreams['faults'];
let image: NamedUpstreams['image'];
let layer: string;
let client: NamedUpstreams['client'];
let bytesOf: NamedUpstreams['bytesOf'];

beforeAll(async () => {
  upstreams = await startNamedUpstreams();
  ({ faults, image, layer, client, bytesOf } = upstreams);
});
afterEach(() => upstreams.reset());
afterAll(() => upstreams.stop());

const QUICK = { connectMs: 2_000, headersMs: 400, idleMs: 400 };

describe('a registry in trouble', () => {
  type HeadRule = ReturnType<ReturnType<typeof faults.host>['on']>;
  it.each<[string, (head: HeadRule) => { readonly applied: number }]>([
    ['answered 405', (head) => head.answer(405)],
    ['answered 501', (head) => head.answer(501)],
    ['answered without a digest', (head) => head.noDigest()],
  ])('asks for the bytes when HEAD is %s', async (_how, fault) => {
    const rule = fault(faults.host(HUB).on({ kind: 'manifest-tag', method: 'HEAD' }));
    expect(await client(HUB).headManifest('v1')).toEqual({
      digest: image.digest,
      mediaType: image.root.mediaType,
      size: image.root.size,
    });
    expect(rule.applied).toBe(1);
  });

  it.each([405, 501])('asks for the first byte of a blob when HEAD is answered %i', async (status) => {
    const rule = faults.host(HUB).on({ kind: 'blob', method: 'HEAD' }).answer(status);
    const { size } = image.blobs.find(({ digest }) => digest === layer)!;
    expect(await client(HUB).headBlob(layer)).toEqual({ size });
    expect(await client(HUB).headBlob(`sha256:${'0'.repeat(64)}`)).toBeUndefined();
    expect(rule.applied).toBe(2);
    const gets = faults.log.requests({ kind: 'blob', method: 'GET' }).map(({ range, bytes }) => [range, bytes]);
    expect(gets[0]).toEqual(['bytes=0-0', 1]);
  });

  it.each([
    ['4096', 4096],
    ['many', 0],
    [undefined, 0],
  ])('reads how long its chunks have to be: %s', async (header, chunkMinBytes) => {
    const headers = {
      location: '/v2/team/app/blobs/uploads/1',
      ...(header === undefined ? {} : { 'oci-chunk-min-length': header }),
    };
    faults.host(HUB).on({ kind: 'upload', method: 'POST' }).answer(202, { headers });
    expect(await client(HUB).startUpload()).toMatchObject({ mounted: false, upload: { chunkMinBytes } });
  });

  it('reads quota and retry times', async () => {
    faults.host(HUB).on().quota(1);
    const app = client(HUB);
    expect((await app.openManifest('v1')).rateLimit).toEqual({ limit: 1, remaining: 0, windowSeconds: 21_600 });
    const spent = { limit: 1, remaining: 0, windowSeconds: 21_600 };
    await expect(app.openManifest('v1')).rejects.toMatchObject({
      code: 'rate-limited',
      retry: true,
      status: 429,
      rateLimit: spent,
    });
    await expect(app.headManifest('absent')).rejects.toMatchObject({ code: 'not-found', rateLimit: spent });
    faults.host(HUB).clear();
    faults.host(HUB).on().rateLimited({ retryAfter: 120 });
    await expect(app.headManifest('v1')).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 120_000 });
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 120_000 });
    faults.host(HUB).clear();
    faults.host(HUB).on().rateLimited({ retryAfter: 60, asDate: true });
    const error = await app.openManifest('v1').catch((caught: unknown) => caught as { retryAfterMs: number });
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(50_000);
  });

  it('says as whom it asked what was refused, a login that was refused before not being it', async () => {
    faults.host(HUB).on().rateLimited();
    const login: Credential[] = [{ kind: 'header', value: 'Basic eDp5', account: 'alice' }];
    await expect(client(HUB, login).openManifest('v1')).rejects.toHaveProperty('askedAs', { account: 'alice' });
    faults.host(HUB).on().answer(401).times(1);
    const late = await client(HUB, login)
      .openManifest('v1')
      .catch((error: unknown) => error);
    expect(late).toMatchObject({ code: 'rate-limited' });
    expect(late).toHaveProperty('askedAs', {});
  });

  it.each([
    [500, 'server-error'],
    [503, 'server-error'],
    [403, 'forbidden'],
    [404, 'not-found'],
    [400, 'rejected'],
    [200, 'invalid-response'],
  ])('status %i is %s', async (status, code) => {
    faults
      .host(HUB)
      .on({ kind: 'blob', method: 'GET' })
      .answer(status, { body: '<html>captive</html>', headers: status === 200 ? { 'content-encoding': 'gzip' } : {} });
    await expect(client(HUB).openBlob(layer)).rejects.toMatchObject({ code });
  });

  it('believes the bytes of a manifest, never the digest that is announced for them', async () => {
    faults.host(HUB).on({ kind: 'manifest', method: 'GET' }).wrongDigest();
    await expect(client(HUB).openManifest('v1')).rejects.toMatchObject({ code: 'digest-mismatch' });
    expect((await client(HUB).openManifest(image.digest)).bytes.equals(image.root.bytes)).toBe(true);
    faults.host(HUB).clear();
    faults.host(HUB).on({ kind: 'manifest', method: 'GET' }).flip(5);
    for (const reference of ['v1', image.digest])
      await expect(client(HUB).openManifest(reference)).rejects.toMatchObject({ code: 'digest-mismatch' });
    faults.host(HUB).on({ kind: 'manifest', method: 'GET' }).noDigest();
    expect((await client(HUB).openManifest('v1')).digest).not.toBe(image.digest);
  });

  it('takes no manifest, and no list of what refers to one, that is larger than it may be', async () => {
    const { size } = image.root;
    expect((await client(HUB, [], { manifestMaxBytes: size }).openManifest('v1')).bytes).toHaveLength(size);
    const app = client(HUB, [], { manifestMaxBytes: size - 1 });
    const refusal = {
      code: 'too-large',
      retry: false,
      message: expect.stringContaining(`larger than ${size - 1} bytes`),
    };
    await expect(app.openManifest('v1')).rejects.toMatchObject(refusal);
    await expect(app.openManifest(image.digest)).rejects.toMatchObject(refusal);
    faults.host(HUB).on({ kind: 'manifest-tag', method: 'GET' }).chunked();
    await expect(app.openManifest('v1')).rejects.toMatchObject(refusal);
    const body = JSON.stringify({ schemaVersion: 2, manifests: [], annotations: { long: 'x'.repeat(size) } });
    const contentType = 'application/vnd.oci.image.index.v1+json';
    faults.host(HUB).on({ kind: 'referrers' }).answer(200, { body, contentType });
    expect(await client(HUB).listReferrers(image.digest)).toEqual([]);
    await expect(app.listReferrers(image.digest)).rejects.toMatchObject(refusal);
  });

  it('does not take a manifest for written that the registry confirms under another digest', async () => {
    faults.host(HUB).on({ kind: 'manifest-tag', method: 'PUT' }).wrongDigest();
    const { bytes, mediaType } = image.root;
    await expect(client(HUB).putManifest('put', bytes, mediaType)).rejects.toMatchObject({ code: 'digest-mismatch' });
  });

  it('looks once what the tag names when the registry confirms no digest', async () => {
    faults.host(HUB).on({ kind: 'manifest-tag', method: 'PUT' }).noDigest();
    const { bytes, mediaType } = image.root;
    expect(await client(HUB).putManifest('put', bytes, mediaType)).toBe(image.digest);
    expect(upstreams.requests(HUB).map(({ method, reference }) => [method, reference])).toEqual([
      ['PUT', 'put'],
      ['HEAD', 'put'],
    ]);
    faults.host(HUB).on({ kind: 'manifest-tag', method: 'HEAD' }).wrongDigest();
    await expect(client(HUB).putManifest('put', bytes, mediaType)).rejects.toMatchObject({ code: 'digest-mismatch' });
  });

  it('does not take a captive portal for a manifest', async () => {
    faults.host(HUB).on({ kind: 'manifest-digest' }).answer(200, { body: '<html>log in</html>' });
    await expect(client(HUB).openManifest(image.digest)).rejects.toMatchObject({ code: 'digest-mismatch' });
  });

  it('is bounded when nobody answers', async () => {
    faults.host(HUB).on().hang();
    const app = client(HUB, [], { upstream: QUICK });
    const started = performance.now();
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code: 'timeout', retry: true });
    await expect(app.headManifest('v1')).rejects.toMatchObject({ code: 'timeout' });
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('is bounded when a body stalls', async () => {
    faults
      .host(HUB)
      .on({ kind: ['blob', 'manifest-tag'] })
      .stallAfter(1000);
    const app = client(HUB, [], { upstream: QUICK });
    const blob = await app.openBlob(layer);
    await expect(blob.deliver(() => undefined)).rejects.toMatchObject({ code: 'timeout', bytesDelivered: 1000 });
    faults.host(HUB).clear();
    faults.host(HUB).on({ kind: 'manifest-tag' }).stallAfter(10);
    await expect(app.openManifest('v1')).rejects.toMatchObject({ code: 'timeout' });
  });

  it('tells a down registry', async () => {
    await faults.host(HUB).down();
    await expect(client(HUB).openBlob(layer)).rejects.toMatchObject({ code: 'refused', retry: true });
    await expect(client(HUB).headManifest('v1')).rejects.toMatchObject({ code: 'refused' });
  });

  it('replaces a kept connection that the server had closed', async () => {
    const app = client(HUB);
    await (await app.openBlob(layer)).deliver(() => undefined);
    await app.headManifest('v1');
    await faults.host(HUB).down();
    await faults.host(HUB).up();
    await (await app.openBlob(layer)).deliver(() => undefined);
    expect((await app.headManifest('v1')).digest).toBe(image.digest);
  });
});

describe('blob bodies', () => {
  it('tells how far a cut body came, and resumes at that byte', async () => {
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).cutAt(1_000_000).times(1);
    const parts: Buffer[] = [];
    const broken = (await client(HUB).openBlob(layer)).deliver((chunk) => void parts.push(Buffer.from(chunk)));
    await expect(broken).rejects.toMatchObject({ code: 'truncated', bytesDelivered: 1_000_000 });
    expect(Buffer.concat(parts)).toHaveLength(1_000_000);
    faults.host(HUB).clear();
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).cutAt(700_000).times(2);
    faults.log.reset();
    const blob = await openResuming({ sources: [blobSource('upstream', client(HUB), layer)], digest: layer });
    expect((await readBlob(blob, 1e7)).equals(bytesOf(layer))).toBe(true);
    expect(upstreams.requests(HUB).map(({ range }) => range)).toEqual([
      undefined,
      expect.stringMatching(/^bytes=\d+-$/),
      expect.stringMatching(/^bytes=\d+-$/),
    ]);
  });

  it('refuses wrong bytes before the end of them is out', async () => {
    faults
      .host(HUB)
      .on({ kind: 'blob', method: 'GET' })
      .flip(LAYER / 2);
    let delivered = 0;
    const blob = await client(HUB).openBlob(layer);
    await expect(blob.deliver((chunk) => void (delivered += chunk.length))).rejects.toMatchObject({
      code: 'digest-mismatch',
    });
    expect(delivered).toBeLessThan(LAYER);
  });

  it('reads past what it did not ask for when the server ignores Range', async () => {
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).ignoreRange();
    const blob = await client(HUB).openBlob(layer, { offset: 2_000_000, end: 2_000_099 });
    expect([blob.totalSize, blob.offset, blob.length]).toEqual([LAYER, 2_000_000, 100]);
    expect((await readBlob(blob, 1000)).equals(bytesOf(layer).subarray(2_000_000, 2_000_100))).toBe(true);
  });

  it('reads a body that states no length, whole and from an offset', async () => {
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).chunked();
    const app = client(HUB);
    expect((await readBlob(await app.openBlob(layer), 1e7)).equals(bytesOf(layer))).toBe(true);
    const tail = await app.openBlob(layer, { offset: LAYER - 10 });
    expect((await readBlob(tail, 100)).equals(bytesOf(layer).subarray(LAYER - 10))).toBe(true);
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).cutAt(1_000_000);
    await expect((await app.openBlob(layer)).deliver(() => undefined)).rejects.toMatchObject({ code: 'truncated' });
  });

  it('reads no further while the sink is busy', async () => {
    const app = client(HUB, [], { bufferMaxBytes: 64 * 1024, bufferMinBytes: 64 * 1024 });
    let release: (() => void) | undefined;
    let first = true;
    const blob = await app.openBlob(layer);
    const done = blob.deliver((chunk) => {
      if (!first || chunk.length === 0) return undefined;
      first = false;
      return new Promise((resolve) => (release = resolve));
    });
    await faults.log.until(() => release, 5_000, 'the first chunk');
    release!();
    await done;
  });

  it('lets go when the caller aborts, and when nobody reads', async () => {
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).stallAfter(1_000_000);
    const app = client(HUB);
    const stop = new AbortController();
    const blob = await app.openBlob(layer);
    const done = blob.deliver(() => void stop.abort(), stop.signal);
    await expect(done).rejects.toMatchObject({ code: 'aborted' });
    (await app.openBlob(layer)).cancel();
    await faults.log.until(
      () => (upstreams.requests(HUB).every(({ outcome }) => outcome === 'aborted') ? true : undefined),
      5_000,
      'both connections to end',
    );
  });
});
