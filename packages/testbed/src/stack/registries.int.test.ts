import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { get } from 'node:https';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeCertificates } from '../faults/certificates.ts';
import type { CacheRegistry, UpstreamRegistry } from '../port.ts';
import { startCacheRegistry } from './cache-registry.ts';
import { startUpstreamRegistry } from './upstream-registry.ts';

const EMPTY_INDEX = JSON.stringify({
  schemaVersion: 2,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  manifests: [
    {
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: `sha256:${'a'.repeat(64)}`,
      size: 7,
      platform: { architecture: 'amd64', os: 'linux' },
    },
  ],
});
const DIGEST = `sha256:${createHash('sha256').update(EMPTY_INDEX).digest('hex')}`;
const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

interface Call {
  authorization?: string;
  method?: string;
  body?: string;
}

async function call(url: string, { authorization, method = 'GET', body }: Call = {}): Promise<number> {
  const response = await fetch(url, {
    method,
    headers: {
      accept: INDEX_TYPE,
      ...(body ? { 'content-type': INDEX_TYPE } : {}),
      ...(authorization ? { authorization } : {}),
    },
    ...(body ? { body } : {}),
  });
  await response.arrayBuffer();
  return response.status;
}

describe('startCacheRegistry', () => {
  let cache: CacheRegistry;
  beforeAll(async () => {
    cache = await startCacheRegistry();
  });
  afterAll(() => cache.stop());

  const repository = 'registry.example.test__5000/a/b';
  const manifest = (side: 'writer' | 'reader', reference: string): string =>
    `${side === 'writer' ? cache.writerUrl : cache.readerUrl}/v2/${repository}/manifests/${reference}`;
  const push = { method: 'PUT', body: EMPTY_INDEX };

  it('takes a sparse index from the writers and serves it to the readers at once', async () => {
    const write = cache.authorization('writer', [{ repository, actions: ['pull', 'push'] }]);
    expect(await call(manifest('writer', '1.0'), { ...push, authorization: write })).toBe(201);
    const read = cache.authorization('reader', [{ repository, actions: ['pull'] }]);
    expect(await call(manifest('reader', '1.0'), { authorization: read })).toBe(200);
    expect(await call(manifest('reader', DIGEST), { authorization: read })).toBe(200);
  });

  it('trusts each key on its own side, for the repository it names, and nobody without one', async () => {
    const write = cache.authorization('writer', [{ repository, actions: ['pull', 'push'] }]);
    const read = cache.authorization('reader', [{ repository, actions: ['pull'] }]);
    const other = cache.authorization('reader', [{ repository: 'other', actions: ['pull'] }]);
    expect(await call(manifest('reader', '1.0'))).toBe(401);
    expect(await call(manifest('reader', '1.0'), { authorization: write })).toBe(401);
    expect(await call(manifest('writer', '1.0'), { authorization: read })).toBe(401);
    expect(await call(manifest('reader', '1.0'), { authorization: other })).toBe(401);
  });

  it('lets the readers write nothing, whatever they sign', async () => {
    const forged = cache.authorization('reader', [{ repository, actions: ['pull', 'push', 'delete'] }]);
    expect(await call(manifest('reader', '2.0'), { ...push, authorization: forged })).toBe(405);
  });

  it('can be emptied', async () => {
    await cache.wipe();
    const read = cache.authorization('reader', [{ repository, actions: ['pull'] }]);
    expect(await call(manifest('reader', '1.0'), { authorization: read })).toBe(404);
    expect(readdirSync(cache.folder)).toEqual([]);
  });
});

describe('startUpstreamRegistry', () => {
  let upstream: UpstreamRegistry;
  beforeAll(async () => {
    upstream = await startUpstreamRegistry();
  });
  afterAll(() => upstream.stop());

  it('is an anonymous registry that keeps its content over a restart', async () => {
    const url = `${upstream.url}/v2/library/x/manifests/latest`;
    expect(await call(url, { method: 'PUT', body: EMPTY_INDEX })).toBe(201);
    await upstream.kill();
    await expect(call(url)).rejects.toThrow();
    await upstream.restart();
    expect(await call(url)).toBe(200);
    expect(await call(url, { method: 'DELETE' })).toBe(202);
    expect(await call(url)).toBe(404);
  });
});

describe('startUpstreamRegistry with a certificate and a user', () => {
  // bcrypt of `correct horse`: a registry takes nothing else.
  const htpasswd = 'somebody:$2b$04$w4isJnYupJk7FnLN2CZSJO/YVeEeVwGlsdL.O4D6fv6YMYqvACIDa';
  let upstream: UpstreamRegistry;
  let ca: string;
  beforeAll(async () => {
    const authority = await makeCertificates();
    ca = authority.ca;
    const certificate = await authority.certificate('private.example.test');
    upstream = await startUpstreamRegistry({ name: 'private', certificate, htpasswd });
  });
  afterAll(() => upstream?.stop());

  const ping = (trusted: string | undefined, auth?: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const options = { agent: false, ...(trusted && { ca: trusted }), ...(auth && { auth }) };
      get(`${upstream.url}/v2/`, options, (response) => resolve(response.resume().statusCode)).on('error', reject);
    });

  it('is asked over TLS of its authority, with its name and password', async () => {
    expect(upstream.url).toBe(`https://${upstream.host}`);
    await expect(ping(undefined)).rejects.toThrow(/certificate/);
    expect(await ping(ca)).toBe(401);
    expect(await ping(ca, 'somebody:wrong')).toBe(401);
    expect(await ping(ca, 'somebody:correct horse')).toBe(200);
  });

  it('says so after a restart too', async () => {
    await upstream.kill();
    await upstream.restart();
    expect(await ping(ca, 'somebody:correct horse')).toBe(200);
  });
});
