import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { makeImage, makeIndex, requirePart, until, type MadeImage } from '@kuik/testbed';
import { ask, HOST, startProxyWorld, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

const MiB = 1024 * 1024;
const run = promisify(execFile);

describe('transfers', () => {
  let world: ProxyWorld;
  let proxy: RunningProxy;
  let big: MadeImage;
  let folder: string;
  const digestOfBig = (): string => big.blobs.find(({ size }) => size === 24 * MiB)!.digest;

  beforeAll(async () => {
    world = await startProxyWorld();
    folder = mkdtempSync(path.join(tmpdir(), 'kuik-transfers-'));
    big = await makeImage({ seed: 'big', layers: [{ bytes: 24 * MiB, encoding: 'raw' }] });
    await world.keep('big', ['1'], big);
    await world.faults.push(HOST, 'far', ['1'], big);
    proxy = await world.start();
  });
  afterEach(() => world.faults.reset());
  afterAll(async () => {
    await world.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const url = (rest: string, at = proxy): string => `${at.url}/v2/${HOST}/${rest}`;

  it('keeps sixteen parallel streams apart, from the cache and from upstream', async () => {
    const names = Array.from({ length: 16 }, (_, at) => (at % 2 === 0 ? 'big' : 'far'));
    const answers = await Promise.all(names.map((name) => ask(url(`${name}/blobs/${digestOfBig()}`))));
    for (const answer of answers) expect([answer.complete, digestOf(answer.body)]).toEqual([true, digestOfBig()]);
    expect(answers.map((answer) => proxy.lineOf(answer)?.origin)).toEqual(
      names.map((name) => (name === 'big' ? 'cache' : 'upstream')),
    );
  });

  it.each([
    ['cut', { do: 'cut', atByte: 9_000_000 } as const],
    ['stalled', { do: 'stall', afterBytes: 9_000_000 } as const],
  ])('goes on when upstream is %s in mid-blob, and still checks the whole', async (_what, fault) => {
    const impatient = await world.start({ settings: { upstreamTimeouts: { idle: '500ms' } } });
    world.faults.host(HOST).on({ kind: 'blob' }).fault(fault).times(1);
    const answer = await ask(url(`far/blobs/${digestOfBig()}`, impatient));
    expect([answer.status, answer.complete, digestOf(answer.body)]).toEqual([200, true, digestOfBig()]);
    world.faults.host(HOST).on({ kind: 'blob' }).fault(fault).times(1);
    world.faults.host(HOST).on({ kind: 'blob' }).fault({ do: 'flip', atByte: 10 }).after(1);
    const wrong = await ask(url(`far/blobs/${digestOfBig()}`, impatient));
    expect([wrong.complete, wrong.body.length < 24 * MiB]).toEqual([false, true]);
    await impatient.close();
  });

  it('gives a body up, and its connection, when upstream does not come back', async () => {
    world.faults.host(HOST).on({ kind: 'blob' }).fault({ do: 'cut', atByte: 9_000_000 }).times(1);
    world.faults.host(HOST).on({ kind: 'blob' }).fault({ do: 'reset' }).after(1);
    const answer = await ask(url(`far/blobs/${digestOfBig()}`));
    expect([answer.status, answer.complete]).toEqual([200, false]);
    expect(proxy.lineOf(answer)).toMatchObject({ code: 'KUIK-REG-503', complete: false });
  });

  it('stops reading upstream at once when the client leaves', async () => {
    world.faults
      .host(HOST)
      .on({ kind: 'blob' })
      .fault({ do: 'drip', bytesPerSecond: 2 * MiB });
    await new Promise<void>((resolve, reject) => {
      const request = get(url(`far/blobs/${digestOfBig()}`), (response) => {
        response.once('data', () => request.destroy());
        response.on('error', () => undefined);
        response.on('close', resolve);
      });
      request.on('error', (error) => (request.destroyed ? resolve() : reject(error)));
    });
    const record = await world.faults.log.untilRequest((one) => one.kind === 'blob' && one.outcome === 'aborted');
    expect(record.bytes).toBeLessThan(12 * MiB);
    await until(() => proxy.lines.some(({ code }) => code === 'client-gone'), { what: 'the log line' });
  });

  it('holds a slow client without reading ahead of it', async () => {
    // Longer than what sockets hold on the way.
    const long = await makeImage({ seed: 'long', layers: [{ bytes: 96 * MiB, encoding: 'raw' }] });
    await world.faults.push(HOST, 'long', ['1'], long);
    const { digest } = long.blobs.find(({ size }) => size === 96 * MiB)!;
    const read = (): number[] => world.faults.log.requests({ kind: 'blob' }).map(({ bytes }) => bytes);
    let whileHeld: number[] | undefined;
    const slow = await ask(url(`long/blobs/${digest}`), {
      onBytes: (total) => {
        if (whileHeld !== undefined || total < MiB) return undefined;
        whileHeld = [];
        // In the time in which another client gets all of it, a proxy that reads ahead would have read all of it too.
        return ask(url(`long/blobs/${digest}`)).then(() => void (whileHeld = read()));
      },
    });
    expect(digestOf(slow.body)).toBe(digest);
    expect(whileHeld).toHaveLength(2);
    expect(whileHeld![0]).toBeLessThan(48 * MiB);
    expect(whileHeld![1]).toBe(96 * MiB);
  });

  it('falls through to upstream when the cache is frozen, and spares it after a few requests', async () => {
    const spared = await world.start({ settings: { cacheTimeouts: { headers: '300ms', breakerOpen: '1m' } } });
    await world.cache.reader.kill('SIGSTOP');
    try {
      const times: number[] = [];
      for (let pull = 0; pull < 6; pull += 1) {
        const answer = await ask(url(`far/blobs/${big.blobs.find(({ size }) => size < MiB)!.digest}`, spared));
        expect(answer.status).toBe(200);
        times.push(answer.ms);
      }
      // The middle one: a busy machine may hold up any.
      const [, middle] = times.slice(3).sort((a, b) => a - b);
      expect(middle).toBeLessThan(250);
      expect(await spared.metrics.render()).toContain('kuik_proxy_cache_breaker_open 1');
    } finally {
      await world.cache.reader.kill('SIGCONT');
    }
    await spared.close();
  });

  it.each(['manifests/1', 'manifests/<digest>', 'blobs/<config>'])(
    'asks a cache that it was sparing when nobody else has an answer, for it may be back: %s',
    async (what) => {
      const config = big.blobs.find(({ size }) => size < MiB)!.digest;
      const rest = what.replace('<digest>', big.digest).replace('<config>', config);
      const spared = await world.start({ settings: { cacheTimeouts: { breakerOpen: '1m' } } });
      await world.cache.reader.kill();
      for (let pull = 0; pull < 4; pull += 1) expect((await ask(url(`far/blobs/${config}`, spared))).status).toBe(200);
      expect(await spared.metrics.render()).toContain('kuik_proxy_cache_breaker_open 1');
      await world.cache.reader.restart();
      await world.faults.host(HOST).down();
      const answer = await ask(url(`big/${rest}`, spared));
      expect([answer.status, spared.lineOf(answer)?.origin]).toEqual([200, 'cache']);
      // What it learned, it goes by.
      expect(await spared.metrics.render()).toContain('kuik_proxy_cache_breaker_open 0');
    },
  );

  it('answers within its bounds when upstream never does', async () => {
    const bounded = await world.start({ settings: { upstreamTimeouts: { headers: '500ms', connect: '500ms' } } });
    world.faults.host(HOST).on().fault({ do: 'hang' });
    const [byTag, blob] = await Promise.all([
      ask(url('far/manifests/never', bounded)),
      ask(url(`far/blobs/sha256:${'a'.repeat(64)}`, bounded)),
    ]);
    for (const answer of [byTag, blob]) {
      expect([answer.status, answer.body.toString()]).toEqual([504, expect.stringContaining('KUIK-REG-504')]);
      expect(answer.ms).toBeLessThan(3000);
    }
    await bounded.close();
  });

  it('lets a running transfer finish when it is told to stop, and takes no new one', async () => {
    const stopping = await world.start();
    let closing: Promise<void> | undefined;
    let release = (): void => undefined;
    const answer = await ask(url(`big/blobs/${digestOfBig()}`, stopping), {
      onBytes: (total) => {
        if (closing !== undefined || total < MiB) return undefined;
        closing = stopping.close();
        void until(
          () =>
            ask(`${stopping.url}/v2/`).then(
              () => false,
              () => true,
            ),
          { what: 'refusal' },
        ).then(() => release());
        return new Promise<void>((resolve) => (release = resolve));
      },
    });
    expect([answer.complete, digestOf(answer.body)]).toEqual([true, digestOfBig()]);
    await closing;
  });

  it('serves skopeo: by tag, by digest, another platform, and the whole index', async () => {
    const index = await makeIndex({
      seed: 'skopeo',
      layers: [200_000, 5_000],
      platforms: ['linux/amd64', 'linux/arm64'],
    });
    await world.keep('shop', ['1.0'], index);
    await world.faults.push(HOST, 'shop', ['1.0'], index);
    const skopeo = await requirePart('skopeo');
    const copy = async (reference: string, name: string, ...more: string[]): Promise<string> => {
      const target = path.join(folder, name);
      await run(skopeo, [
        'copy',
        '--quiet',
        '--src-tls-verify=false',
        ...more,
        `docker://127.0.0.1:${proxy.port}/${HOST}/${reference}`,
        `dir:${target}`,
      ]);
      return digestOf(readFileSync(path.join(target, 'manifest.json')));
    };
    expect(await copy('shop:1.0', 'tag', '--all')).toBe(index.digest);
    expect(await copy(`shop@${index.digest}`, 'digest', '--all')).toBe(index.digest);
    expect(await copy('shop:1.0', 'amd64')).toBe(index.platforms['linux/amd64']);
    await world.faults.host(HOST).down();
    expect(await copy('shop:1.0', 'arm64', '--override-arch', 'arm64')).toBe(index.platforms['linux/arm64']);
    for (const { digest } of index.blobs.slice(0, 2)) {
      const bytes = readFileSync(path.join(folder, 'tag', digest.slice('sha256:'.length)));
      expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(digest);
    }
  });

  it('lists the tags of upstream, by pages, and what the cache holds when upstream is down', async () => {
    const image = await makeImage({ seed: 'tags' });
    await world.faults.push(HOST, 'tags', ['a', 'b', 'c'], image);
    await world.keep('tags', ['a', `kuik-sha256-${'a'.repeat(64)}`], image);
    const first = await ask(url('tags/tags/list?n=2'));
    expect([first.status, JSON.parse(first.body.toString())]).toEqual([
      200,
      { name: `${HOST}/tags`, tags: ['a', 'b'] },
    ]);
    const next = /^<([^>]+)>; rel="next"$/.exec(String(first.headers['link']))![1]!;
    const second = await ask(`${proxy.url}${next}`);
    expect(JSON.parse(second.body.toString())).toMatchObject({ tags: ['c'] });
    await world.faults.host(HOST).down();
    const cached = await ask(url('tags/tags/list'));
    expect([JSON.parse(cached.body.toString()), cached.headers['warning']]).toEqual([
      { name: `${HOST}/tags`, tags: ['a'] },
      '110 - "Response is Stale"',
    ]);
  });
});
