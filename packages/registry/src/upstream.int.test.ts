import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { readBlob } from './open-blob.ts';
import { HUB, LAYER, startNamedUpstreams, type NamedUpstreams } from './testing/named-upstreams.ts';
import type { Credential } from './port.ts';

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

const alice: Credential = { kind: 'basic', username: 'alice', password: 'secret-of-alice' };
const users = [{ username: 'alice', password: 'secret-of-alice' }];

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

  it('reads a registry whose API answers under another name there, and signs in there', async () => {
    const [name, api] = ['moved.example.test', 'registry.example.org'];
    await faults.host(api).auth({ scheme: 'bearer', users });
    const registries = { [name]: { ...faults.registries()[api]!, apiHost: api } };
    const app = client(name, [alice], { registries });
    expect((await app.openManifest('v1')).bytes.equals(image.root.bytes)).toBe(true);
    expect((await readBlob(await app.openBlob(layer), 1e7)).equals(bytesOf(layer))).toBe(true);
    expect(upstreams.requests(api).map(({ kind, auth }) => [kind, auth])).toEqual([
      ['manifest-tag', 'none'],
      ['token', 'basic'],
      ['manifest-tag', 'bearer'],
      ['blob', 'bearer'],
    ]);
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
    expect(upstreams.requests(HUB).map(({ auth }) => auth)).toEqual(['none', 'basic']);
  });

  it('keeps credentials from a token server of another trust', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users, realmHost: 'auth.evil.test' });
    await expect(client(HUB, [alice]).headManifest('v1')).rejects.toMatchObject({
      code: 'untrusted-host',
    });
    expect(upstreams.requests('auth.evil.test').filter(({ auth }) => auth !== 'none')).toEqual([]);
  });
});

describe('a token realm at an address of ours', () => {
  const challenge = (realm: string) =>
    faults
      .host(HUB)
      .on()
      .answer(401, { headers: { 'www-authenticate': `Bearer realm="${realm}",service="x"` } });

  it.each([
    ['https://127.0.0.1:1/token', 'address-refused'],
    ['https://10.0.0.7/token', 'address-refused'],
    ['https://169.254.169.254/token', 'address-refused'],
    ['https://[::ffff:10.0.0.7]/token', 'address-refused'],
    ['http://10.0.0.7/token', 'untrusted-host'],
  ])('is not asked: %s', async (realm, code) => {
    challenge(realm);
    await expect(client(HUB).headManifest('v1')).rejects.toMatchObject({ code, retry: false });
    await expect(client(HUB).openBlob(layer)).rejects.toMatchObject({ code });
    await expect(client(HUB, [alice]).headManifest('v1')).rejects.toMatchObject({ code });
  });

  it('gets no credential either when its name is of the registry’s own trust', async () => {
    challenge('https://auth.docker.io/token');
    const asked: string[] = [];
    const lookup = (name: string) => {
      asked.push(name);
      return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
    };
    await expect(client(HUB, [alice], { lookup }).headManifest('v1')).rejects.toMatchObject({
      code: 'address-refused',
    });
    expect(asked).toEqual(['auth.docker.io']);
  });
});

describe('a request id', () => {
  it('reaches the registry with every request, and nobody that it redirects to', async () => {
    faults.host(HUB).on({ kind: 'blob' }).redirect('blobs.example.test');
    const app = client(HUB, [], { requestId: 'r-1' });
    await app.headManifest('v1');
    await app.openManifest('v1');
    await readBlob(await app.openBlob(layer), 1e7);
    const ids = (host: string) => upstreams.requests(host).map(({ requestId }) => requestId);
    expect(ids(HUB)).toEqual(['r-1', 'r-1', 'r-1']);
    expect(ids('blobs.example.test')).toEqual([undefined]);
  });

  it('that could break a header is not sent', async () => {
    const app = client(HUB, [], { requestId: 'r-1\r\nauthorization: Basic x' });
    await app.headManifest('v1');
    await (await app.openBlob(layer)).deliver(() => undefined);
    expect(upstreams.requests(HUB).map(({ requestId, auth }) => [requestId, auth])).toEqual([
      [undefined, 'none'],
      [undefined, 'none'],
    ]);
  });
});

describe('redirects', () => {
  it.each(['blobs.example.test', 'registry.example.org'])('follows to %s without Authorization', async (origin) => {
    await faults.host(HUB).auth({ scheme: 'bearer', users });
    faults.host(HUB).on({ kind: 'blob' }).redirect(origin);
    const app = client(HUB, [alice]);
    const sentOn: string[] = [];
    const blob = await app.openBlob(layer, { offset: 100, onSentOn: (to) => void sentOn.push(to.host) });
    expect((await readBlob(blob, 1e7)).equals(bytesOf(layer).subarray(100))).toBe(true);
    expect(sentOn).toEqual([expect.stringContaining(origin)]);
    const there = upstreams.requests(origin);
    expect(there.length).toBeGreaterThan(0);
    expect(there.map(({ auth, range }) => [auth, range])).toEqual(there.map(() => ['none', 'bytes=100-']));
  });

  it('asks nobody there when who hears of it throws', async () => {
    faults.host(HUB).on({ kind: 'blob' }).redirect('blobs.example.test');
    const known = new Error('known to be away');
    const onSentOn = (): void => {
      throw known;
    };
    await expect(client(HUB).openBlob(layer, { onSentOn })).rejects.toBe(known);
    expect(upstreams.requests('blobs.example.test')).toEqual([]);
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

describe('what nobody may send or mean', () => {
  it('refuses a credential that would forge headers, on both paths', async () => {
    const app = client(HUB, [{ kind: 'header', value: 'Basic abc\r\nX-Forged: 1' }]);
    await expect(app.headManifest('v1')).rejects.toMatchObject({ code: 'rejected' });
    await expect(app.openBlob(layer)).rejects.toMatchObject({ code: 'rejected' });
    expect(upstreams.requests(HUB)).toEqual([]);
  });

  it('names a malformed address of the configuration', async () => {
    const app = client(HUB, [], { registries: { [HUB]: { address: 'not an address' } } });
    await expect(app.openBlob(layer)).rejects.toThrow(
      'registries."docker.io".address is "not an address": write it as host:port',
    );
  });

  it('does not blame our credential for what a blob origin refuses', async () => {
    await faults.host(HUB).auth({ scheme: 'bearer', users });
    faults.host(HUB).on({ kind: 'blob' }).redirect();
    faults.origin.on({ kind: 'blob' }).forbidden();
    await expect(client(HUB, [alice]).openBlob(layer)).rejects.toMatchObject({ code: 'forbidden' });
    expect(faults.log.total({ host: faults.originName }).requests).toBe(1);
    expect(faults.log.total({ host: HUB, kind: 'token' }).requests).toBe(1);
  });

  it('asks again when the connection breaks before the answer', async () => {
    faults.host(HUB).on({ kind: 'manifest-tag' }).reset().times(1);
    expect((await client(HUB).headManifest('v1')).digest).toBe(image.digest);
  });

  it('ends what is under way when it is closed', async () => {
    faults.host(HUB).on({ kind: 'blob', method: 'GET' }).stallAfter(1000);
    const blob = await client(HUB).openBlob(layer);
    const reading = blob.deliver(() => undefined);
    await upstreams.closeLast();
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
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

  it.each([
    ['https://10.0.0.7/upload', 'untrusted-host'],
    ['https://[::ffff:127.0.0.1]/upload', 'untrusted-host'],
    // Of the registry’s own trust by its name: the address decides.
    ['https://uploads.docker.io/upload', 'address-refused'],
    ['https://docker.io:1/upload', 'address-refused'],
  ])('sends nothing to a Location at an address of ours: %s', async (location, code) => {
    faults.host(HUB).on({ kind: 'upload', method: 'POST' }).answer(202, { headers: { location } });
    const lookup = () => Promise.resolve([{ address: '10.0.0.7', family: 4 }]);
    const app = client(HUB, [], { lookup });
    let sent = false;
    const send = async () => {
      const answer = await app.startUpload();
      if (answer.mounted) throw new Error('mounted');
      await answer.upload.putWhole(() => Promise.resolve(void (sent = true)), 1, digestOf(Buffer.from('x')));
    };
    await expect(send()).rejects.toMatchObject({ code, retry: false });
    expect(sent).toBe(false);
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
