import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { makeImage, makeIndex, until, type MadeImage } from '@kuik/testbed';
import { ask, HOST, startProxyWorld, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

const MiB = 1024 * 1024;

describe('node-proxy between a cache and an upstream', () => {
  let world: ProxyWorld;
  let proxy: RunningProxy;
  let kept: MadeImage;
  let fresh: MadeImage;

  beforeAll(async () => {
    world = await startProxyWorld();
    kept = await makeIndex({ seed: 'kept', layers: [5 * MiB, 1024] });
    fresh = await makeImage({ seed: 'fresh', layers: [3 * MiB] });
    await world.keep('shop', ['1.0'], kept);
    await world.faults.push(HOST, 'shop', ['1.0'], kept);
    await world.faults.push(HOST, 'fresh', ['1.0'], fresh);
    proxy = await world.start();
  });
  afterEach(() => world.faults.reset());
  afterAll(() => world.stop());

  const url = (rest: string): string => `${proxy.url}/v2/${HOST}/${rest}`;

  it('answers /v2/', async () => {
    const answer = await ask(`${proxy.url}/v2/`);
    expect([answer.status, answer.body.toString()]).toEqual([200, '{}']);
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0');
  });

  it('serves a cached manifest by digest, byte for byte, from memory the second time', async () => {
    const first = await ask(url(`shop/manifests/${kept.digest}`));
    const second = await ask(url(`shop/manifests/${kept.digest}`));
    for (const answer of [first, second]) {
      expect(answer.status).toBe(200);
      expect(digestOf(answer.body)).toBe(kept.digest);
      expect(answer.headers).toMatchObject({
        'content-type': kept.root.mediaType,
        'docker-content-digest': kept.digest,
        etag: `"${kept.digest}"`,
      });
    }
    expect([proxy.lineOf(first)?.origin, proxy.lineOf(second)?.origin]).toEqual(['cache', 'memory']);
    expect(world.faults.log.total({}).requests).toBe(0);
  });

  it('serves every blob of a cached image', async () => {
    for (const blob of kept.blobs) {
      const answer = await ask(url(`shop/blobs/${blob.digest}`));
      expect([answer.status, answer.complete, digestOf(answer.body)]).toEqual([200, true, blob.digest]);
      expect(proxy.lineOf(answer)).toMatchObject({ origin: 'cache', reason: 'ByDigest', bytes: blob.size });
    }
    expect(world.faults.log.total({}).requests).toBe(0);
  });

  it('serves what is not cached from upstream, by tag and by digest', async () => {
    const byTag = await ask(url('fresh/manifests/1.0'));
    expect([byTag.status, digestOf(byTag.body)]).toEqual([200, fresh.digest]);
    expect(proxy.lineOf(byTag)).toMatchObject({
      origin: 'upstream',
      reason: 'StateUnavailable',
      image: `${HOST}/fresh:1.0`,
    });
    const told = world.faults.log.requests({ host: HOST }).map(({ requestId }) => requestId);
    expect(new Set(told)).toEqual(new Set([byTag.headers['x-request-id']]));
    for (const blob of fresh.blobs) {
      const answer = await ask(url(`fresh/blobs/${blob.digest}`));
      expect([answer.status, answer.complete, digestOf(answer.body)]).toEqual([200, true, blob.digest]);
      expect(proxy.lineOf(answer)).toMatchObject({ origin: 'upstream' });
    }
  });

  it('asks upstream as its configuration file says now, without a restart', async () => {
    // By TLS, which this upstream does not speak.
    const wrong = { [HOST]: { address: world.faults.host(HOST).address } };
    const changing = await world.start({ settings: { registries: wrong } });
    const pull = () => ask(`${changing.url}/v2/${HOST}/fresh/manifests/${fresh.digest}`);
    expect((await pull()).status).toBeGreaterThanOrEqual(500);
    await changing.change({ registries: world.faults.registries() });
    const answer = await pull();
    expect([answer.status, digestOf(answer.body)]).toEqual([200, fresh.digest]);
    await changing.close();
  });

  it("serves the cache's own tag, marked stale, when upstream is down", async () => {
    await world.faults.host(HOST).down();
    const answer = await ask(url('shop/manifests/1.0'));
    expect([answer.status, digestOf(answer.body)]).toEqual([200, kept.digest]);
    expect(answer.headers['warning']).toBe('110 - "Response is Stale"');
    expect(proxy.lineOf(answer)).toMatchObject({ reason: 'UpstreamSilent', stale: true });
    const missing = await ask(url('fresh/manifests/other'));
    expect(missing.status).toBe(503);
    expect(missing.body.toString()).toContain('KUIK-REG-503');
  });

  const big = (): MadeImage['blobs'][number] => kept.blobs.find(({ size }) => size > 5 * MiB)!;

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=1048570-1048580', 1_048_570, 11],
    ['bytes=5000000-', 5_000_000, undefined],
    ['bytes=-7', -7, 7],
  ])('serves %s', async (range, from, length) => {
    const { digest, size } = big();
    const whole = (await ask(url(`shop/blobs/${digest}`))).body;
    const answer = await ask(url(`shop/blobs/${digest}`), { headers: { range } });
    const start = from < 0 ? size + from : from;
    const expected = whole.subarray(start, length === undefined ? size : start + length);
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${start + expected.length - 1}/${size}`);
    expect(answer.body.equals(expected)).toBe(true);
  });

  it('answers 416 outside of a blob, and ignores several ranges', async () => {
    const { digest, size } = big();
    const outside = await ask(url(`shop/blobs/${digest}`), { headers: { range: `bytes=${size}-` } });
    expect([outside.status, outside.body.toString()]).toEqual([416, expect.stringContaining('KUIK-PRX-416')]);
    const several = await ask(url(`shop/blobs/${digest}`), { headers: { range: 'bytes=0-1,3-4' } });
    expect([several.status, digestOf(several.body)]).toEqual([200, digest]);
  });

  it('goes on from upstream at the byte reached when the cache dies in mid-blob', async () => {
    const image = await makeImage({ seed: 'resume', layers: [{ bytes: 64 * MiB, encoding: 'raw' }] });
    await world.keep('resume', ['1'], image);
    await world.faults.push(HOST, 'resume', ['1'], image);
    const blob = image.blobs.find(({ size }) => size >= 64 * MiB)!;
    let killed: Promise<void> | undefined;
    const answer = await ask(url(`resume/blobs/${blob.digest}`), {
      onBytes: (total) => {
        if (total < 8 * MiB || killed !== undefined) return undefined;
        return (killed = world.cache.reader.kill('SIGKILL'));
      },
    });
    await killed;
    await world.cache.reader.restart();
    expect([answer.status, answer.complete, digestOf(answer.body)]).toEqual([200, true, blob.digest]);
    const ranges = world.faults.log.requests({ kind: 'blob' });
    expect(ranges.length).toBeGreaterThan(0);
    expect(await proxy.metrics.render()).toMatch(/kuik_proxy_resumes_total\{from="cache",to="upstream"\} 1/);
    await until(async () => (await ask(url(`shop/blobs/${kept.blobs[0]!.digest}`))).status === 200, {
      what: 'the cache',
    });
  });

  it.each([
    ['the first', () => 0],
    ['one of many', () => 100],
    ['the last', (size: number) => size - 1],
  ])('cuts wrong bytes of upstream short of their length: %s', async (_which, at) => {
    const blob = fresh.blobs.find(({ size }) => size > 3 * MiB)!;
    world.faults
      .host(HOST)
      .on({ kind: 'blob' })
      .fault({ do: 'flip', atByte: at(blob.size) });
    const answer = await ask(url(`fresh/blobs/${blob.digest}`));
    expect(answer.complete).toBe(false);
    expect(answer.body.length).toBeLessThan(blob.size);
    world.faults.host(HOST).clear();
    world.faults.host(HOST).on({ kind: 'blob' }).fault({ do: 'flip', atByte: 0 });
    const small = fresh.blobs.find(({ size }) => size < MiB)!;
    const refused = await ask(url(`fresh/blobs/${small.digest}`));
    expect([refused.status, refused.body.toString()]).toEqual([502, expect.stringContaining('KUIK-REG-520')]);
  });

  it('serves wrong bytes of the cache once, finds them when they are asked for again, and passes them over from then on', async () => {
    const image = await makeImage({ seed: 'damaged', layers: [{ bytes: 3 * MiB, encoding: 'raw' }] });
    await world.keep('damaged', ['1'], image);
    await world.faults.push(HOST, 'damaged', ['1'], image);
    const [small, large] = [...image.blobs].sort((a, b) => a.size - b.size);
    for (const digest of [small!.digest, large!.digest, image.digest]) {
      const hex = digest.slice('sha256:'.length);
      const data = path.join(world.cache.folder, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex, 'data');
      // A manifest stays JSON: what cannot be read is an error of the registry's own.
      const swapped = (bytes: Buffer) => bytes.toString('latin1').replace(/sha256:../, 'sha256:zz');
      const bytes = readFileSync(data);
      writeFileSync(data, digest === image.digest ? Buffer.from(swapped(bytes), 'latin1') : bytes.fill('?', 0, 8));
    }
    const pull = async (what: string) => {
      const answer = await ask(url(`damaged/${what}`));
      const { origin, code } = proxy.lineOf(answer)!;
      return {
        right: answer.complete && digestOf(answer.body) === what.split('/')[1],
        whole: answer.complete,
        origin,
        code,
      };
    };
    // A manifest is small, and hashed each time.
    expect(await pull(`manifests/${image.digest}`)).toMatchObject({ right: true, origin: 'upstream' });
    expect(world.faults.log.total({ kind: 'blob' }).requests).toBe(0);
    const [first, second, third] = [1, 2, 3].map(() => () => pull(`blobs/${large!.digest}`));
    expect(await first!()).toEqual({ right: false, whole: true, origin: 'cache', code: undefined });
    expect(await second!()).toEqual({ right: false, whole: false, origin: 'cache', code: 'KUIK-CPY-520' });
    expect(await third!()).toEqual({ right: true, whole: true, origin: 'upstream', code: undefined });
    // What is held back as a whole is had from upstream in the same pull.
    expect(await pull(`blobs/${small!.digest}`)).toMatchObject({ right: false, whole: true, origin: 'cache' });
    expect(await pull(`blobs/${small!.digest}`)).toMatchObject({ right: true, code: undefined });
    expect(await pull(`blobs/${small!.digest}`)).toMatchObject({ right: true, origin: 'upstream' });
    expect(await proxy.metrics.render()).toContain('kuik_proxy_cache_wrong_total 3');
    const told = proxy.lines.filter(({ message }) => message === 'cache holds wrong bytes');
    expect(told.map(({ repository, what }) => [repository, what])).toEqual([
      [`${HOST}/damaged`, `${HOST}/damaged@${image.digest}`],
      [`${HOST}/damaged`, large!.digest],
      [`${HOST}/damaged`, small!.digest],
    ]);
    expect(told[0]).toMatchObject({ level: 'error', code: 'KUIK-CPY-520', remedy: expect.stringContaining('delete') });
  });
});
