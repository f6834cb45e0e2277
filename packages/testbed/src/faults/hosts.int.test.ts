import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { MANIFEST_TYPES, makeImage, type MadeImage } from '../images/index.ts';
import type { UpstreamRegistry } from '../port.ts';
import { startUpstreamRegistry } from '../stack/upstream-registry.ts';
import { startFaultProxy, type FaultProxy } from './index.ts';
import { raw, type RawAnswer, type RawRequest } from './raw-client.fixture.ts';

const ACCEPT = { accept: MANIFEST_TYPES.join(', ') };
let registry: UpstreamRegistry;
let faults: FaultProxy;
let image: MadeImage;
let blob: string;
let now = Date.now();

beforeAll(async () => {
  registry = await startUpstreamRegistry();
  faults = await startFaultProxy({
    backingUrl: registry.url,
    prefix: 'lease-7',
    tls: true,
    hosts: ['docker.io', 'ghcr.io', { name: 'plain.example.test:5000', plainHTTP: true }],
    now: () => now,
  });
  image = await makeImage({ seed: 'hosts', layers: [100_000] });
  blob = image.blobs.at(-1)!.digest;
  for (const [host, repository] of [
    ['docker.io', 'library/app'],
    ['ghcr.io', 'team-a/app'],
    ['ghcr.io', 'public/app'],
    ['plain.example.test:5000', 'app'],
  ] as const) {
    await faults.push(host, repository, ['1'], image);
  }
});
afterAll(async () => {
  await faults.close();
  await registry.stop();
});
beforeEach(() => faults.reset());

/** A request by name: the TLS server name and Host header are the host's, the address is the proxy's. */
const ask = (host: string, path: string, options: RawRequest = {}): Promise<RawAnswer> =>
  raw(`${faults.host(host).url}${path}`, {
    ca: faults.ca!,
    servername: host,
    ...options,
    headers: { ...ACCEPT, host, ...options.headers },
  });
const basic = (user: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
});

describe('names', () => {
  it('each has its own certificate, on its own port and on the shared one', async () => {
    for (const url of [faults.host('docker.io').url, faults.tlsUrl!]) {
      const answer = await raw(`${url}/v2/library/app/manifests/1`, {
        ca: faults.ca!,
        servername: 'docker.io',
        headers: { ...ACCEPT, host: 'docker.io' },
      });
      expect(digestOf(answer.body)).toBe(image.digest);
    }
    await expect(raw(`${faults.tlsUrl}/v2/`, { servername: 'docker.io' })).rejects.toMatchObject({
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    });
  });

  it('an address is enough for the certificate too', async () => {
    expect(await raw(`${faults.host('ghcr.io').url}/v2/`, { ca: faults.ca! })).toMatchObject({ status: 200 });
  });

  it('are told in the shape of `registries`', () => {
    const registries = faults.registries();
    expect(registries['docker.io']).toEqual({ address: faults.host('docker.io').address, ca: faults.ca });
    expect(registries['plain.example.test:5000']).toMatchObject({ plainHTTP: true });
    expect(Object.keys(registries)).toContain(faults.originName);
  });

  it('a name may be plain HTTP beside TLS', async () => {
    const answer = await raw(`http://${faults.host('plain.example.test:5000').address}/v2/app/manifests/1`, {
      headers: ACCEPT,
    });
    expect(digestOf(answer.body)).toBe(image.digest);
  });

  it('a name given later has a port of its own too', async () => {
    const late = await faults.addHost('late.example.test');
    await faults.push('late.example.test', 'app', ['1'], image);
    expect(await ask('late.example.test', '/v2/app/manifests/1')).toMatchObject({ status: 200 });
    expect(new URL(late.url).port).not.toBe(new URL(faults.tlsUrl!).port);
  });
});

describe('Docker Hub by another of its names', () => {
  it('is the same host, in rules too', async () => {
    faults.add({ host: 'registry-1.docker.io', fault: { do: 'answer', status: 418 } });
    expect(await ask('docker.io', '/v2/')).toMatchObject({ status: 418 });
    expect(faults.host('index.docker.io').address).toBe(faults.host('docker.io').address);
  });
});

describe('down', () => {
  it('connections are refused, running ones break, and the port stays when it comes back', async () => {
    const host = faults.host('docker.io');
    const { address } = host;
    const stalled = host.on({ kind: 'blob' }).stallAfter(10);
    const broken = ask('docker.io', `/v2/library/app/blobs/${blob}`);
    await stalled.untilApplied();
    await faults.log.untilRequest(({ bytes }) => bytes === 10);
    await host.down();
    expect(await broken).toMatchObject({ complete: false });
    await expect(ask('docker.io', '/v2/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await ask('ghcr.io', '/v2/')).toMatchObject({ status: 200 });
    await host.up();
    expect(host.address).toBe(address);
    expect(await ask('docker.io', '/v2/')).toMatchObject({ status: 200 });
  });

  it('all of them at once', async () => {
    await faults.host('*').down();
    for (const host of ['docker.io', 'ghcr.io'])
      await expect(ask(host, '/v2/')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await faults.host('*').up();
    for (const host of ['docker.io', 'ghcr.io']) expect(await ask(host, '/v2/')).toMatchObject({ status: 200 });
  });

  it('on the shared port the name is reset, others are served', async () => {
    await faults.host('docker.io').down();
    const shared = (host: string): Promise<RawAnswer> => raw(`${faults.url}/v2/`, { headers: { host } });
    await expect(shared('docker.io')).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await shared('ghcr.io')).toMatchObject({ status: 200 });
  });
});

describe('blobs at another origin', () => {
  it('307 by name, the other origin shows what came along', async () => {
    faults.host('docker.io').on({ kind: 'blob' }).redirect();
    const answer = await ask('docker.io', `/v2/library/app/blobs/${blob}`);
    const location = new URL(answer.headers.location!);
    expect([answer.status, location.protocol, location.host]).toEqual([307, 'https:', 'blobs.example.test']);
    const path = `${location.pathname}${location.search}`;
    expect(digestOf((await ask(faults.originName, path)).body)).toBe(blob);
    const leaked = await ask(faults.originName, path, { headers: { authorization: 'Bearer x' } });
    expect(leaked.status).toBe(400);
    expect(faults.log.requests({ host: faults.originName }).map(({ kind, auth }) => [kind, auth])).toEqual([
      ['blob', 'none'],
      ['blob', 'bearer'],
    ]);
  });

  it('by address for a client that came by address, with its range, and the origin may fail too', async () => {
    faults.host('plain.example.test:5000').on({ kind: 'blob' }).redirect('plain.example.test:5000', 302);
    faults.origin.on({ kind: 'blob' }).forbidden().times(1);
    faults.host('docker.io').on({ kind: 'blob' }).redirect();
    const self = await raw(`${faults.host('plain.example.test:5000').url}/v2/app/blobs/${blob}`);
    expect([self.status, new URL(self.headers.location!).host]).toEqual([
      302,
      faults.host('plain.example.test:5000').address,
    ]);
    const away = await raw(`${faults.host('docker.io').url}/v2/library/app/blobs/${blob}`, { ca: faults.ca! });
    const range = { ca: faults.ca!, headers: { range: 'bytes=0-9' } };
    expect(new URL(away.headers.location!).host).toBe(faults.origin.address);
    expect(await raw(away.headers.location!, range)).toMatchObject({ status: 403 });
    expect((await raw(away.headers.location!, range)).body.length).toBe(10);
  });
});

describe('authorisation', () => {
  const users = [{ username: 'ann', password: 'pw', repositories: ['team-a/*'] }];

  it('Basic', async () => {
    await faults.host('ghcr.io').auth({ scheme: 'basic', users, anonymous: ['public/*'] });
    const refused = await ask('ghcr.io', '/v2/team-a/app/manifests/1');
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Basic realm="ghcr.io"']);
    expect(await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers: basic('ann', 'pw') })).toMatchObject({
      status: 200,
    });
    expect(await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers: basic('ann', 'no') })).toMatchObject({
      status: 401,
    });
    expect(await ask('ghcr.io', '/v2/public/app/manifests/1')).toMatchObject({ status: 200 });
  });

  it('Bearer with a realm at another host; tokens expire', async () => {
    await faults.host('ghcr.io').auth({ scheme: 'bearer', users, realmHost: 'auth.example.test', tokenSeconds: 60 });
    const refused = await ask('ghcr.io', '/v2/team-a/app/manifests/1');
    expect(refused.headers['www-authenticate']).toBe(
      'Bearer realm="https://auth.example.test/token",service="ghcr.io",scope="repository:team-a/app:pull"',
    );
    const asked = await ask('auth.example.test', '/token?service=ghcr.io&scope=repository:team-a/app:pull', {
      headers: basic('ann', 'pw'),
    });
    const { token } = JSON.parse(asked.body.toString()) as { token: string };
    const headers = { authorization: `Bearer ${token}` };
    expect(await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers })).toMatchObject({ status: 200 });
    expect((await ask('ghcr.io', '/v2/public/app/manifests/1', { headers })).headers['www-authenticate']).toContain(
      'insufficient_scope',
    );
    now += 60_000;
    expect((await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers })).headers['www-authenticate']).toContain(
      'invalid_token',
    );
    expect(faults.log.total({ host: 'auth.example.test', kind: 'token', status: 200 }).requests).toBe(1);
  });

  it('a posted form, and the realm by address for a client that came by address', async () => {
    await faults.host('ghcr.io').auth({ scheme: 'bearer', users });
    const challenge = (await raw(`${faults.host('ghcr.io').url}/v2/`, { ca: faults.ca! })).headers['www-authenticate']!;
    const realm = /realm="([^"]+)"/.exec(challenge)![1]!;
    expect(realm).toBe(`${faults.host('ghcr.io').url}/token`);
    const body = 'grant_type=password&service=ghcr.io&username=ann&password=pw&scope=repository:team-a/app:pull';
    const asked = await raw(realm, {
      ca: faults.ca!,
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    const { token } = JSON.parse(asked.body.toString()) as { token: string };
    const authorization = `Bearer ${token}`;
    expect(await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers: { authorization } })).toMatchObject({
      status: 200,
    });
    faults.host('ghcr.io').expireTokens();
    expect(await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers: { authorization } })).toMatchObject({
      status: 401,
    });
  });

  it('a challenge uses up no fault of the body, but an outage comes before it', async () => {
    await faults.host('ghcr.io').auth({ scheme: 'basic', users });
    const cut = faults.host('ghcr.io').on({ kind: 'blob' }).cutAt(5).times(1);
    expect(await ask('ghcr.io', `/v2/team-a/app/blobs/${blob}`)).toMatchObject({ status: 401, complete: true });
    expect(cut.applied).toBe(0);
    expect(await ask('ghcr.io', `/v2/team-a/app/blobs/${blob}`, { headers: basic('ann', 'pw') })).toMatchObject({
      complete: false,
    });
    faults.host('ghcr.io').on().serverError(503);
    expect(await ask('ghcr.io', '/v2/team-a/app/manifests/1')).toMatchObject({ status: 503 });
  });

  it('refused whatever the credential', async () => {
    await faults.host('ghcr.io').auth({ scheme: 'bearer', users });
    faults.host('ghcr.io').on({ kind: 'manifest' }).unauthorized();
    const answer = await ask('ghcr.io', '/v2/team-a/app/manifests/1', { headers: { authorization: 'Bearer good' } });
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm=.*scope="repository:team-a\/app:pull"$/);
  });
});
