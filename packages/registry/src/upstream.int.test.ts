import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import {
  makeImage,
  startFaultProxy,
  startUpstreamRegistry,
  type FaultProxy,
  type MadeImage,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { createRegistryAccess, type RegistryAccessOptions } from './access.ts';
import { readBlob } from './open-blob.ts';
import { blobSource, openResuming } from './resume.ts';
import type { Credential, RepositoryClient } from './port.ts';

const HUB = 'docker.io';
const QUICK = { connectMs: 2_000, headersMs: 400, idleMs: 400 };
const LAYER = 3_000_000;

let registry: UpstreamRegistry;
let faults: FaultProxy;
let image: MadeImage;
let layer: string;
const opened: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  registry = await startUpstreamRegistry();
  faults = await startFaultProxy({
    backingUrl: registry.url,
    tls: true,
    hosts: [HUB, 'registry.example.org', 'auth.evil.test'],
  });
  image = await makeImage({ seed: 'upstream', layers: [{ bytes: LAYER, encoding: 'raw' }], json: 'odd' });
  layer = image.blobs[1]!.digest;
  for (const host of [HUB, 'registry.example.org', 'blobs.example.test'])
    await faults.push(host, 'team/app', ['v1', 'v2'], image);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((access) => access.close()));
  await faults.reset();
});
afterAll(async () => {
  await faults.close();
  await registry.stop();
});

function client(host: string, credentials: Credential[] = [], options: RegistryAccessOptions = {}): RepositoryClient {
  const access = createRegistryAccess({ registries: faults.registries(), ...options });
  opened.push(access);
  return access.upstream(host, 'team/app', { credentials: () => Promise.resolve(credentials) });
}

const alice: Credential = { kind: 'basic', username: 'alice', password: 'secret-of-alice' };
const users = [{ username: 'alice', password: 'secret-of-alice' }];
const bytesOf = (digest: string) => Buffer.concat([...image.blobs.find((blob) => blob.digest === digest)!.open()]);
const records = (host: string) => faults.log.requests({ host });

describe('reading over TLS', () => {
  it('reads manifests and blobs of a named host, byte for byte', async () => {
    const app = client(HUB);
    expect(await app.headManifest('v1')).toEqual({
      digest: image.digest,
      mediaType: image.root.mediaType,
      size: image.root.size,
    });
    expect((await app.openManifest('v1')).bytes.equals(image.root.bytes)).toBe(true);
    expect((await readBlob(await app.openBlob(layer), 1e7)).equals(bytesOf(layer))).toBe(true);
    const part = await app.openBlob(layer, { offset: LAYER - 1000, end: LAYER - 900 });
    expect((await readBlob(part, 1e7)).equals(bytesOf(layer).subarray(LAYER - 1000, LAYER - 899))).toBe(true);
  });

  it('does not trust a certificate of nobody known', async () => {
    const { address } = faults.host(HUB);
    const app = client(HUB, [], { registries: { [HUB]: { address } } });
    await expect(app.headManifest('v1')).rejects.toMatchObject({ code: 'tls' });
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code: 'tls' });
  });

  it('does not take the certificate of another name', async () => {
    const { address, ca } = faults.registries()[HUB]!;
    const app = client('192.0.2.1', [], { registries: { '192.0.2.1': { address, ca: ca! } } });
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code: 'tls' });
  });
});

describe('authorisation', () => {
  it('gets one token for many requests at once', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users });
    const app = client(HUB, [alice]);
    await Promise.all(Array.from({ length: 12 }, () => app.headManifest('v1')));
    expect(faults.log.total({ host: HUB, kind: 'token' }).requests).toBe(1);
    await app.openManifest('v1');
    await (await app.openBlob(layer)).deliver(() => undefined);
    expect(faults.log.total({ host: HUB, kind: 'token' }).requests).toBe(1);
  });

  it('finds the credential that works, and begins with it next time', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users, refuse: 'forbidden' });
    const wrong: Credential = { kind: 'basic', username: 'bob', password: 'wrong' };
    const app = client(HUB, [wrong, alice]);
    expect((await app.headManifest('v1')).digest).toBe(image.digest);
    const before = faults.log.total({ host: HUB }).requests;
    expect((await app.headManifest('v2')).digest).toBe(image.digest);
    expect(faults.log.total({ host: HUB }).requests).toBe(before + 1);
  });

  it('falls back to anonymous, and says so when that is refused, too', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users, anonymous: ['team/*'] });
    const wrong: Credential = { kind: 'basic', username: 'bob', password: 'hunter2' };
    expect((await client(HUB, [wrong]).headManifest('v1')).digest).toBe(image.digest);
    await faults.host(HUB).auth({ scheme: 'bearer', users, refuse: 'forbidden' });
    const failing = client(HUB, [wrong]).headManifest('v1');
    await expect(failing).rejects.toMatchObject({ code: 'unauthorized', retry: false });
    await expect(failing).rejects.not.toThrow(/hunter2/);
  });

  it('renews a token that the registry no longer takes, for manifests and blobs', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users });
    const app = client(HUB, [alice]);
    await app.headManifest('v1');
    faults.host(HUB).expireTokens();
    await (await app.openBlob(layer)).deliver(() => undefined);
    faults.host(HUB).expireTokens();
    await app.headManifest('v1');
    expect(faults.log.total({ host: HUB, kind: 'token' }).requests).toBe(3);
  });

  it('speaks Basic, and sends nothing before it was asked', async () => {
    await faults.host(HUB).auth({ scheme: 'basic', users });
    const app = client(HUB, [alice]);
    await (await app.openBlob(layer)).deliver(() => undefined);
    expect(records(HUB).map(({ auth }) => auth)).toEqual(['none', 'basic']);
  });

  it('keeps credentials from a token server of another trust', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users, realmHost: 'auth.evil.test' });
    await expect(client(HUB, [alice]).headManifest('v1')).rejects.toMatchObject({
      code: 'untrusted-host',
    });
    expect(records('auth.evil.test').filter(({ auth }) => auth !== 'none')).toEqual([]);
  });
});

describe('redirects', () => {
  it.each(['blobs.example.test', 'registry.example.org'])('follows to %s without Authorization', async (origin) => {
    await faults.host(HUB).auth({ scheme: 'bearer', users });
    faults.host(HUB).on({ kind: 'blob' }).redirect(origin);
    const app = client(HUB, [alice]);
    const blob = await app.openBlob(layer, { offset: 100 });
    expect((await readBlob(blob, 1e7)).equals(bytesOf(layer).subarray(100))).toBe(true);
    const there = records(origin);
    expect(there.length).toBeGreaterThan(0);
    expect(there.map(({ auth, range }) => [auth, range])).toEqual(there.map(() => ['none', 'bytes=100-']));
  });

  it('gives up in a circle', async () => {
    faults
      .host(HUB)
      .on({ kind: 'blob' })
      .answer(307, { headers: { location: `https://${HUB}/v2/team/app/blobs/${layer}` } });
    await expect(client(HUB).openBlob(layer)).rejects.toMatchObject({ code: 'invalid-response' });
    expect(faults.log.total({ host: HUB }).requests).toBe(6);
  });

  it.each([
    ['http://169.254.169.254/latest/meta-data', 'untrusted-host'],
    ['https://169.254.169.254/latest/meta-data', 'address-refused'],
    ['https://127.0.0.1:1/', 'address-refused'],
    ['https://2130706433:1/', 'address-refused'],
    ['https://0x7f.1:1/', 'address-refused'],
    ['https://[::ffff:127.0.0.1]:1/', 'address-refused'],
    ['https://[::1]:1/', 'address-refused'],
    ['https://localhost:1/', 'address-refused'],
    ['https://user:pw@blobs.example.test/', 'untrusted-host'],
    ['file:///etc/passwd', 'untrusted-host'],
  ])('never goes to %s', async (location, code) => {
    faults
      .host(HUB)
      .on({ kind: ['blob', 'manifest-tag'] })
      .answer(307, { headers: { location } });
    const app = client(HUB);
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code, retry: false });
    await expect(app.openManifest('v1')).rejects.toMatchObject({ code });
  });
});

describe('addresses', () => {
  it.each(['127.0.0.1', 'localhost', '[::1]', '10.0.0.7'])(
    'refuses a registry at %s that nobody allowed',
    async (name) => {
      await expect(client(`${name}:5000`).headManifest('v1')).rejects.toMatchObject({ code: 'address-refused' });
    },
  );

  it('asks the resolver once, and connects to what was checked', async () => {
    const answers = [[{ address: '127.0.0.1', family: 4 }], [{ address: '8.8.8.8', family: 4 }]];
    let asked = 0;
    const app = client('rebind.example.org', [], { lookup: () => Promise.resolve(answers[asked++]!) });
    await expect(app.headManifest('v1')).rejects.toMatchObject({
      code: 'address-refused',
      message: expect.stringContaining('allowPrivate'),
    });
    expect(asked).toBe(1);
  });

  it('reaches a private address when that is meant', async () => {
    const [, port] = faults.host(HUB).address.split(':');
    const name = `docker.example.net:${port}`;
    const lookup = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    const registries = { [name]: { allowPrivate: true, insecureSkipVerify: true } };
    // Reached: it knows no such name.
    await expect(client(name, [], { lookup, registries }).headManifest('v1')).rejects.toMatchObject({ status: 404 });
    const policy = { addressPolicy: { allow: ['127.0.0.0/8'] }, registries: { [name]: { insecureSkipVerify: true } } };
    await expect(client(name, [], { lookup, ...policy }).openBlob(layer)).rejects.toMatchObject({ status: 404 });
  });

  it('tells a name that does not resolve', async () => {
    const lookup = () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
    await expect(client('nowhere.example.org', [], { lookup }).openBlob(layer)).rejects.toMatchObject({
      code: 'dns',
      retry: true,
    });
  });
});

describe('a registry in trouble', () => {
  it.each([405, 501])('asks for the bytes when HEAD is answered %i or without a digest', async (status) => {
    const rule =
      status === 405
        ? faults.host(HUB).on({ kind: 'manifest-tag', method: 'HEAD' }).answer(405)
        : faults.host(HUB).on({ kind: 'manifest-tag', method: 'HEAD' }).noDigest();
    expect(await client(HUB).headManifest('v1')).toEqual({
      digest: image.digest,
      mediaType: image.root.mediaType,
      size: image.root.size,
    });
    expect(rule.applied).toBe(1);
  });

  it('reads quota and retry times', async () => {
    faults.host(HUB).on().quota(1);
    const app = client(HUB);
    expect((await app.openManifest('v1')).rateLimit).toEqual({ limit: 1, remaining: 0, windowSeconds: 21_600 });
    await expect(app.openManifest('v1')).rejects.toMatchObject({ code: 'rate-limited', retry: true, status: 429 });
    faults.host(HUB).clear();
    faults.host(HUB).on().rateLimited({ retryAfter: 120 });
    await expect(app.headManifest('v1')).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 120_000 });
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: 120_000 });
    faults.host(HUB).clear();
    faults.host(HUB).on().rateLimited({ retryAfter: 60, asDate: true });
    const error = await app.openManifest('v1').catch((caught: unknown) => caught as { retryAfterMs: number });
    expect((error as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(50_000);
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
    expect(records(HUB).map(({ range }) => range)).toEqual([
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
      () => (records(HUB).every(({ outcome }) => outcome === 'aborted') ? true : undefined),
      5_000,
      'both connections to end',
    );
  });
});

describe('uploads', () => {
  it('keeps bytes and credentials from a Location of another trust', async () => {
    const start = () => faults.host(HUB).on({ kind: 'upload', method: 'POST' });
    start().answer(202, { headers: { location: 'https://evil.test/upload' } });
    await expect(client(HUB, [alice]).startUpload()).rejects.toMatchObject({ code: 'untrusted-host', retry: false });
    faults.host(HUB).clear();
    start().answer(202, { headers: { location: `http://${HUB}/upload` } });
    await expect(client(HUB, [alice]).startUpload()).rejects.toMatchObject({ code: 'untrusted-host' });
  });

  it('authorises a push, and hears an early refusal while it sends', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users });
    const app = client(HUB, [alice]);
    const bytes = Buffer.alloc(2_000_000, 3);
    const send = async () => {
      const answer = await app.startUpload();
      if (answer.mounted) throw new Error('mounted');
      await answer.upload.putWhole(
        async (sink) => {
          for (let at = 0; at < bytes.length; at += 100_000) await sink(bytes.subarray(at, at + 100_000));
        },
        bytes.length,
        digestOf(bytes),
      );
    };
    await send();
    expect(await app.headBlob(digestOf(bytes))).toEqual({ size: bytes.length });
    faults.host(HUB).on({ kind: 'upload', method: 'PUT' }).answer(413);
    await expect(send()).rejects.toMatchObject({ code: 'too-large', status: 413 });
  });
});
