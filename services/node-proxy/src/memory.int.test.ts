import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { toCacheRepository } from '@kuik/image';
import {
  freePort,
  makeImage,
  pushImage,
  startCacheRegistry,
  startService,
  startUpstreamRegistry,
  type CacheRegistry,
  type MadeImage,
  type ServiceProcess,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { sized } from '@kuik/tooling';

const MiB = 1024 * 1024;
const HOST = 'registry.example.test';
const STREAMS = 16;
const SMALL = 4 * MiB;
const LARGE = sized({ usual: 24 * MiB, full: 1024 * MiB });
/** A crowd, and so many in it that do not read on before all others have finished: more than sockets hold for them. */
const CROWD = sized({ usual: 40, full: 500 });
const SLOW = CROWD / 10;
const MIDDLE = sized({ usual: 1 * MiB, full: 10 * MiB });
const HELD = sized({ usual: LARGE, full: MIDDLE });
const RESIDENT_MAX = 160 * MiB;
/** What is left lying about between collections. */
const GROWTH_MAX = 40 * MiB;

let folder: string;
let cache: CacheRegistry;
let upstream: UpstreamRegistry;
let image: MadeImage;
let proxy: ServiceProcess;
let port: number;

/** The service as the chart runs it, in a process of its own. */
async function startProxy(): Promise<ServiceProcess> {
  const file = (name: string, text: string): string => {
    const at = path.join(folder, name);
    writeFileSync(at, text, { mode: 0o600 });
    return at;
  };
  const healthPort = await freePort();
  return startService('node-proxy', {
    healthPort,
    env: {
      NODE_OPTIONS: '--max-semi-space-size=2',
      MALLOC_ARENA_MAX: '1',
      KUIK_NODE: 'node-1',
      KUIK_LISTEN: `127.0.0.1:${port}`,
      KUIK_HTTP_HOST: '127.0.0.1',
      KUIK_HTTP_PORT: String(healthPort),
      // Nobody there: what is cached by digest needs nobody.
      KUIK_NATS_URL: 'nats://127.0.0.1:1',
      KUIK_CACHE_URL: cache.readerUrl,
      KUIK_CACHE_KEY_FILE: file('key.pem', cache.readerKey.privateKey),
      KUIK_CACHE_CERTIFICATE_FILE: file('certificate.pem', cache.readerKey.certificate),
      KUIK_REGISTRIES: JSON.stringify({ [HOST]: { address: upstream.host, plainHTTP: true } }),
    },
  });
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-memory-'));
  [cache, upstream] = await Promise.all([startCacheRegistry(), startUpstreamRegistry()]);
  image = await makeImage({
    seed: 'memory',
    layers: [SMALL, MIDDLE, LARGE].map((bytes) => ({ bytes, encoding: 'raw' })),
  });
  const repository = toCacheRepository({ host: HOST, path: 'kept' })!;
  const authorization = cache.authorization('writer', [{ repository, actions: ['pull', 'push'] }]);
  await pushImage(cache.writerUrl, repository, ['1'], image, { authorization });
  await pushImage(upstream.url, 'fresh', ['1'], image);
  port = await freePort();
  proxy = await startProxy();
}, 120_000);
afterAll(async () => {
  await proxy?.stop();
  await Promise.all([cache?.stop(), upstream?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** The digest of what a GET brings; `held`: what its client waits for before it reads on. */
function pull(repository: string, digest: string, held?: Promise<unknown>): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = `http://127.0.0.1:${port}/v2/${HOST}/${repository}/blobs/${digest}`;
    get(url, { agent: false }, (answer) => {
      const hash = createHash('sha256');
      answer.on('data', (chunk: Buffer) => hash.update(chunk));
      answer.on('end', () => resolve(`sha256:${hash.digest('hex')}`));
      answer.on('error', reject);
      if (held === undefined) return;
      answer.pause();
      void held.then(() => answer.resume());
    }).on('error', reject);
  });
}

/** The proxy's largest resident set so far, after sixteen blobs of a size at once: half from the cache, half from upstream. */
async function peakAfter(bytes: number): Promise<number> {
  const { digest } = image.blobs.find(({ size }) => size === bytes)!;
  const streams = Array.from({ length: STREAMS }, (_, at) => pull(at % 2 === 0 ? 'kept' : 'fresh', digest));
  expect(new Set(await Promise.all(streams))).toEqual(new Set([digest]));
  return peak();
}

function peak(): number {
  const status = readFileSync(`/proc/${proxy.pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

// Only Linux tells what the most was.
(process.platform === 'linux' ? it : it.skip)(
  `serves sixteen blobs of ${LARGE / MiB} MiB at once within ${RESIDENT_MAX / MiB} MiB, however long they are`,
  async () => {
    const small = await peakAfter(SMALL);
    const large = await peakAfter(LARGE);
    console.log(`resident at most: ${Math.round(small / MiB)} MiB, then ${Math.round(large / MiB)} MiB`);
    expect(large).toBeLessThan(RESIDENT_MAX);
    expect(large - small).toBeLessThan(GROWTH_MAX);
  },
  300_000,
);

(process.platform === 'linux' ? it : it.skip)(
  `serves ${CROWD} clients at once within the same, and none of them waits for those that do not read`,
  async () => {
    const digestOf = (bytes: number): string => image.blobs.find(({ size }) => size === bytes)!.digest;
    const from = (at: number): string => (at % 2 === 0 ? 'kept' : 'fresh');
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const slow = Array.from({ length: SLOW }, (_, at) => pull(from(at), digestOf(HELD), held));
    const fast = Array.from({ length: CROWD - SLOW }, (_, at) => pull(from(at), digestOf(MIDDLE)));
    expect(new Set(await Promise.all(fast))).toEqual(new Set([digestOf(MIDDLE)]));
    release();
    expect(new Set(await Promise.all(slow))).toEqual(new Set([digestOf(HELD)]));
    console.log(`resident at most: ${Math.round(peak() / MiB)} MiB`);
    expect(peak()).toBeLessThan(RESIDENT_MAX);
  },
  300_000,
);
