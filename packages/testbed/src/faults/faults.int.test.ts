import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { MANIFEST_TYPES, makeImage, makeIndex, type MadeImage } from '../images/index.ts';
import type { UpstreamRegistry } from '../port.ts';
import { startUpstreamRegistry } from '../stack/upstream-registry.ts';
import { startFaultProxy, type FaultProxy } from './index.ts';
import { raw, type RawAnswer, type RawRequest } from './raw-client.fixture.ts';

const ACCEPT = { accept: MANIFEST_TYPES.join(', ') };
let registry: UpstreamRegistry;
let faults: FaultProxy;
let index: MadeImage;
let image: MadeImage;
let blob: { digest: string; size: number };

beforeAll(async () => {
  registry = await startUpstreamRegistry();
  faults = await startFaultProxy({ backingUrl: registry.url, hosts: ['docker.io', 'registry.example.test:5000'] });
  index = await makeIndex({ seed: 'multi', layers: [3000], json: 'odd' });
  image = await makeImage({ seed: 'single', layers: [{ bytes: 3_000_000, encoding: 'raw' }] });
  blob = image.blobs.at(-1)!;
  await faults.push('docker.io', 'library/app', ['1', 'latest'], index);
  await faults.push('docker.io', 'library/app', ['2'], image);
});
afterAll(async () => {
  await faults.close();
  await registry.stop();
});
beforeEach(() => faults.reset());

const hub = () => faults.host('docker.io');
const get = (path: string, options: RawRequest = {}): Promise<RawAnswer> =>
  raw(`${hub().url}${path}`, { ...options, headers: { ...ACCEPT, ...options.headers } });
const getTag = (tag = '1', options?: RawRequest): Promise<RawAnswer> =>
  get(`/v2/library/app/manifests/${tag}`, options);
const getBlob = (options?: RawRequest): Promise<RawAnswer> => get(`/v2/library/app/blobs/${blob.digest}`, options);
const codeOf = (answer: RawAnswer): string =>
  (JSON.parse(answer.body.toString()) as { errors: { code: string }[] }).errors[0]!.code;

describe('without rules', () => {
  it('manifests come byte for byte, by tag and by digest, also to a HEAD', async () => {
    for (const reference of ['1', index.digest]) {
      const answer = await getTag(reference);
      expect(answer.body.equals(index.root.bytes)).toBe(true);
      expect(answer.headers['docker-content-digest']).toBe(index.digest);
    }
    const head = await getTag('1', { method: 'HEAD' });
    expect([head.status, head.headers['docker-content-digest'], head.body.length]).toEqual([200, index.digest, 0]);
  });

  it('blobs come whole and by range', async () => {
    const whole = await getBlob();
    expect(digestOf(whole.body)).toBe(blob.digest);
    const part = await getBlob({ headers: { range: 'bytes=1500000-1500009' } });
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 1500000-1500009/${blob.size}`]);
    expect(part.body.equals(whole.body.subarray(1_500_000, 1_500_010))).toBe(true);
    expect((await getBlob({ method: 'HEAD' })).headers['content-length']).toBe(String(blob.size));
    expect(await getBlob({ headers: { range: `bytes=${blob.size}-` } })).toMatchObject({ status: 416 });
  });

  it('an empty blob comes too', async () => {
    const empty = await makeImage({ seed: 'none', layers: [{ bytes: 0, encoding: 'raw' }] });
    await faults.push('docker.io', 'library/empty', ['1'], empty);
    const answer = await get(`/v2/library/empty/blobs/${empty.blobs.at(-1)!.digest}`);
    expect([answer.status, answer.body.length, answer.complete]).toEqual([200, 0, true]);
  });

  it('names do not share content, and errors name what the client asked for', async () => {
    const other = faults.host('registry.example.test:5000');
    const answer = await raw(`${other.url}/v2/library/app/manifests/1`, { headers: ACCEPT });
    expect([answer.status, codeOf(answer)]).toEqual([404, 'MANIFEST_UNKNOWN']);
    const tags = await raw(`${other.url}/v2/library/app/tags/list`);
    expect(tags.body.toString()).not.toContain('registry.example.test__5000');
    expect(JSON.parse((await get('/v2/library/app/tags/list')).body.toString())).toEqual({
      name: 'library/app',
      tags: ['1', '2', 'latest'],
    });
    const page = await get('/v2/library/app/tags/list?n=1');
    expect(page.headers.link).toMatch(/^<\/v2\/library\/app\/tags\/list\?/);
  });

  it('one port serves every name, by Host header or by path', async () => {
    const byName = await raw(`${faults.url}/v2/library/app/manifests/1`, {
      headers: { ...ACCEPT, host: 'registry-1.docker.io' },
    });
    const byPath = await raw(`${faults.url}/v2/docker.io/library/app/manifests/1`, { headers: ACCEPT });
    expect([byName, byPath].map(({ body }) => digestOf(body))).toEqual([index.digest, index.digest]);
    expect(await raw(`${faults.url}/v2/`)).toMatchObject({ status: 200 });
    const lost = await raw(`${faults.url}/v2/library/app/manifests/1`);
    expect([lost.status, lost.body.toString()]).toEqual([404, expect.stringContaining('Host header')]);
  });

  it.each(['own port', 'shared port'])(
    'pushes go through, with locations that the client can use: %s',
    async (where) => {
      const base = where === 'own port' ? `${hub().url}/v2` : `${faults.url}/v2/docker.io`;
      const started = await raw(`${base}/library/pushed/blobs/uploads/`, { method: 'POST' });
      expect(started.status).toBe(202);
      const location = new URL(started.headers.location!, base);
      expect(location.pathname.startsWith(new URL(`${base}/library/pushed/blobs/uploads/`).pathname)).toBe(true);
      location.searchParams.set('digest', digestOf('hello'));
      const put = await raw(location.href, { method: 'PUT', body: 'hello', headers: { 'content-length': '5' } });
      expect(put.status).toBe(201);
      expect((await get(`/v2/library/pushed/blobs/${digestOf('hello')}`)).body.toString()).toBe('hello');
      const mount = await raw(
        `${base}/library/mounted-${where.slice(0, 3)}/blobs/uploads/?mount=${digestOf('hello')}&from=library/pushed`,
        { method: 'POST' },
      );
      expect(mount.status).toBe(201);
      expect(faults.log.requests({ kind: 'upload', method: 'PUT' })).toMatchObject([
        { receivedBytes: 5, repository: 'library/pushed' },
      ]);
    },
  );

  it('a dead registry is a 502, a registry that comes back is used again', async () => {
    await registry.kill();
    expect(await getTag()).toMatchObject({ status: 502 });
    expect(await getBlob()).toMatchObject({ status: 502 });
    await registry.restart();
    expect(await getTag()).toMatchObject({ status: 200 });
  });
});

describe('answers', () => {
  it('429 with Retry-After and quota headers, twice, then as usual', async () => {
    const rule = hub().on({ kind: 'manifest' }).rateLimited({ retryAfter: 7, limit: 100 }).times(2);
    const answers = [await getTag(), await getTag(), await getTag()];
    expect(answers.map(({ status }) => status)).toEqual([429, 429, 200]);
    expect(answers[0]!.headers).toMatchObject({
      'retry-after': '7',
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': '0;w=21600',
    });
    expect(codeOf(answers[0]!)).toBe('TOOMANYREQUESTS');
    expect(rule.applied).toBe(2);
  });

  it('429 with a date', async () => {
    hub().on().rateLimited({ retryAfter: 60, asDate: true });
    const at = Date.parse((await getTag()).headers['retry-after']!);
    expect(Math.abs(at - Date.now() - 60_000)).toBeLessThan(5_000);
  });

  it('a quota: headers on every manifest, HEADs free, 429 past the limit', async () => {
    hub().on().quota(2, { retryAfter: 60 });
    const seen: unknown[] = [];
    for (const method of ['GET', 'HEAD', 'GET', 'GET', 'HEAD']) {
      const { status, headers } = await getTag('1', { method });
      seen.push([method, status, headers['ratelimit-remaining'], headers['retry-after']]);
    }
    expect(seen).toEqual([
      ['GET', 200, '1;w=21600', undefined],
      ['HEAD', 200, '1;w=21600', undefined],
      ['GET', 200, '0;w=21600', undefined],
      ['GET', 429, '0;w=21600', '60'],
      ['HEAD', 200, '0;w=21600', undefined],
    ]);
    expect(await getBlob()).toMatchObject({ status: 200 });
  });

  it.each([
    [405, { method: 'HEAD' }, 'HEAD'],
    [403, { kind: 'manifest' }, 'GET'],
    [500, { repository: 'library/*' }, 'GET'],
    [503, { reference: '1' }, 'GET'],
  ] as const)('%i for %j', async (status, match, method) => {
    hub().on(match).answer(status);
    expect(await getTag('1', { method })).toMatchObject({ status });
    expect(await get('/v2/')).toMatchObject({ status: 200 });
    hub().clear();
    expect(await getTag('1', { method })).toMatchObject({ status: 200 });
  });

  it('never: the request hangs until the client leaves', async () => {
    const rule = hub().on({ kind: 'blob' }).hang();
    const leave = new AbortController();
    const answer = getBlob({ signal: leave.signal }).catch((error: Error) => error.name);
    await rule.untilApplied();
    expect(faults.log.requests({ kind: 'blob' })).toMatchObject([{ status: 0, outcome: 'open', rules: [rule.id] }]);
    leave.abort();
    expect(await answer).toBe('AbortError');
    await faults.log.untilRequest(({ outcome }) => outcome === 'aborted');
  });

  it('a reset instead of an answer', async () => {
    hub().on().reset().times(1);
    await expect(getTag()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(await getTag()).toMatchObject({ status: 200 });
  });

  it('late', async () => {
    hub().on().latency(120);
    expect((await getTag()).ms).toBeGreaterThanOrEqual(115);
  });

  it('a rule for all hosts, as data', async () => {
    faults.add({ host: '*', match: { kind: 'ping' }, fault: { do: 'answer', status: 200, body: '<html>sign in' } });
    for (const name of ['docker.io', 'registry.example.test:5000']) {
      expect((await raw(`${faults.host(name).url}/v2/`)).body.toString()).toBe('<html>sign in');
    }
  });
});

describe('bodies', () => {
  it.each([0, 1, 1000, 1_500_000])('cut at byte %i: so many, and never a whole answer', async (bytes) => {
    hub().on({ kind: 'blob' }).cutAt(bytes).times(1);
    const answer = await getBlob();
    expect([answer.status, answer.body.length, answer.complete]).toEqual([200, bytes, false]);
    expect(answer.headers['content-length']).toBe(String(blob.size));
    await faults.log.untilRequest(({ outcome, bytes: sent }) => outcome === 'cut' && sent === bytes);
    expect((await getBlob()).complete).toBe(true);
  });

  it('a cut counts from the first byte of a range', async () => {
    hub().on({ kind: 'blob' }).cutAt(10);
    const answer = await getBlob({ headers: { range: 'bytes=1000-' } });
    expect([answer.status, answer.body.length, answer.complete]).toEqual([206, 10, false]);
  });

  it('stalled after byte 1000, with the connection open', async () => {
    hub().on({ kind: 'blob' }).stallAfter(1000);
    const leave = new AbortController();
    const thousand = Promise.withResolvers<void>();
    const answer = getBlob({ signal: leave.signal, onBytes: (total) => total === 1000 && thousand.resolve() });
    await thousand.promise;
    expect(faults.log.requests({ kind: 'blob' })).toMatchObject([{ outcome: 'open', status: 200 }]);
    leave.abort();
    expect(await answer).toMatchObject({ complete: false });
  });

  it('held after byte 1000, until the rule is cleared', async () => {
    const held = hub().on({ kind: 'blob' }).holdAfter(1000);
    const thousand = Promise.withResolvers<void>();
    const answer = getBlob({ onBytes: (total) => total === 1000 && thousand.resolve() });
    await thousand.promise;
    expect(faults.log.requests({ kind: 'blob' })).toMatchObject([{ outcome: 'open', bytes: 1000 }]);
    held.clear();
    const { body, complete } = await answer;
    expect([complete, digestOf(body)]).toEqual([true, blob.digest]);
  });

  it('held before its first byte, and cut later', async () => {
    const held = hub().on({ kind: 'blob' }).holdAfter(0);
    hub().on({ kind: 'blob' }).cutAt(2000);
    const answer = getBlob();
    await held.untilApplied();
    expect(faults.log.requests({ kind: 'blob' })).toMatchObject([{ bytes: 0 }]);
    held.clear();
    expect(await answer).toMatchObject({ complete: false, body: { length: 2000 } });
  });

  it('dripped: at the rate, and whole', async () => {
    hub()
      .on({ kind: 'manifest' })
      .drip(index.root.size * 4);
    const answer = await getTag();
    expect(digestOf(answer.body)).toBe(index.digest);
    expect(answer.ms).toBeGreaterThan(200);
  });

  it('one wrong byte, the same length', async () => {
    hub().on({ kind: 'blob' }).flip(2_000_000).times(1);
    const [wrong, right] = [await getBlob(), await getBlob()];
    expect([wrong.complete, wrong.body.length]).toEqual([true, blob.size]);
    const differs = [...right.body.keys()].filter((at) => wrong.body[at] !== right.body[at]);
    expect(differs).toEqual([2_000_000]);
  });

  it('without Content-Length', async () => {
    hub().on().chunked();
    const answer = await getBlob();
    expect(answer.headers).toMatchObject({ 'transfer-encoding': 'chunked' });
    expect(answer.headers).not.toHaveProperty('content-length');
    expect(digestOf(answer.body)).toBe(blob.digest);
  });

  it('whole for a range', async () => {
    hub().on().ignoreRange();
    const answer = await getBlob({ headers: { range: 'bytes=5-9' } });
    expect([answer.status, answer.body.length]).toEqual([200, blob.size]);
  });

  it('with a wrong digest header, or without one', async () => {
    hub().on().wrongDigest().times(1);
    expect((await getTag()).headers['docker-content-digest']).toBe(`sha256:${'0'.repeat(64)}`);
    hub().on().noDigest();
    const answer = await getTag('1', { method: 'HEAD' });
    expect(answer.headers).not.toHaveProperty('docker-content-digest');
  });
});

describe('content', () => {
  it('a moved tag and a deleted tag, until cleared', async () => {
    const moved = hub().moveTag('library/app', '1', image.digest);
    const deleted = hub().deleteTag('library/app', 'latest');
    expect(digestOf((await getTag('1')).body)).toBe(image.digest);
    const gone = await getTag('latest');
    expect([gone.status, codeOf(gone)]).toEqual([404, 'MANIFEST_UNKNOWN']);
    expect(await getTag(index.digest)).toMatchObject({ status: 200 });
    expect(JSON.parse((await get('/v2/library/app/tags/list')).body.toString())).toMatchObject({ tags: ['1', '2'] });
    moved.clear();
    deleted.clear();
    expect(digestOf((await getTag('1')).body)).toBe(index.digest);
    expect(digestOf((await getTag('latest')).body)).toBe(index.digest);
  });

  it('a blob that is gone', async () => {
    hub().on({ kind: 'blob', reference: blob.digest }).gone();
    expect(codeOf(await getBlob())).toBe('BLOB_UNKNOWN');
  });
});

describe('counting', () => {
  it('by kind, method, status and bytes, and no secret is kept', async () => {
    await getTag();
    await getTag('1', { method: 'HEAD' });
    await getBlob({ headers: { authorization: 'Bearer s3cret', range: 'bytes=0-99' } });
    await faults.log.untilRequest(({ kind, outcome }) => kind === 'blob' && outcome === 'done');
    expect(faults.log.counts({ host: 'docker.io' })).toEqual([
      { host: 'docker.io', kind: 'manifest-tag', method: 'GET', status: 200, requests: 1, bytes: index.root.size },
      { host: 'docker.io', kind: 'manifest-tag', method: 'HEAD', status: 200, requests: 1, bytes: 0 },
      { host: 'docker.io', kind: 'blob', method: 'GET', status: 206, requests: 1, bytes: 100 },
    ]);
    expect(faults.log.requests({ kind: 'blob' })).toMatchObject([
      { auth: 'bearer', range: 'bytes=0-99', reference: blob.digest },
    ]);
    expect(JSON.stringify(faults.log.requests())).not.toContain('s3cret');
  });
});
