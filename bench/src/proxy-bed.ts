import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connectBus, type Bus } from '@kuik/bus';
import { IMAGE_STATE } from '@kuik/contracts';
import { parseReference, stateKey } from '@kuik/image';
import {
  freePort,
  makeImage,
  pushImage,
  startCacheRegistry,
  startNats,
  startUpstreamRegistry,
  until,
  type CacheRegistry,
  type MadeImage,
  type NatsServer,
} from '@kuik/testbed';
import { startNginx } from './nginx.ts';
import { portAnswers } from './port-answers.ts';

export const HOST = 'registry.example.test';
/** Of the cache registry and, through the proxy, of the image that it keeps. */
export const KEPT = `${HOST}/bench`;
/** The same image upstream only. */
export const FRESH = 'fresh';

/** One contestant. */
export interface Target {
  readonly name: 'node-proxy' | 'other build' | 'nginx' | 'bare relay' | 'registry';
  readonly pid: number;
  readonly port: number;
  /** What its paths begin with: `/v2/<repository>`. */
  readonly base: string;
  /** A fresh Authorization value, where one is needed. */
  authorization?(): string;
}

/** Everything that the measurements need, started once. */
export interface ProxyBed {
  readonly image: MadeImage;
  /** For what the cache has, and for what only upstream has. */
  readonly hits: readonly Target[];
  readonly misses: readonly Target[];
  readonly cache: CacheRegistry;
  readonly nats: NatsServer;
  readonly proxyUrl: string;
  /** What pod-watcher would say of a tag of the kept repository; undefined: it is gone. */
  tell(tag: string, digest: string | undefined): Promise<void>;
  stop(): Promise<void>;
}

const BUILD = path.join(import.meta.dirname, '../../services/node-proxy/dist/main.js');

/**
 * `sizes`: bytes of the image's layers, whose blobs have exactly these sizes. `otherBuild`: a bundle of another revision, which takes its turns
 * beside this one's.
 */
export async function startProxyBed(sizes: readonly number[], otherBuild?: string): Promise<ProxyBed> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-bench-'));
  const children: ChildProcess[] = [];
  const [cache, upstream, nats] = await Promise.all([startCacheRegistry(), startUpstreamRegistry(), startNats()]);
  const image = await makeImage({ seed: 'bench', layers: sizes.map((bytes) => ({ bytes, encoding: 'raw' as const })) });
  const authorization = cache.authorization('writer', [{ repository: KEPT, actions: ['pull', 'push'] }]);
  await pushImage(cache.writerUrl, KEPT, ['1'], image, { authorization, concurrency: 2 });
  await pushImage(upstream.url, FRESH, ['1'], image, { concurrency: 2 });

  const watcher = await watcherOf(nats, folder);
  const front = await startNginx(folder, 'nginx-cache', new URL(cache.readerUrl).host);
  const far = await startNginx(folder, 'nginx-upstream', upstream.host);
  const near = await startBareRelay(new URL(cache.readerUrl).port);
  const start = async (name: Target['name'], build: string) => ({
    name,
    ...(await startProxy(build, folder, cache, upstream.host, nats)),
  });
  const proxy = await start('node-proxy', BUILD);
  const proxies = otherBuild === undefined ? [proxy] : [proxy, await start('other build', otherBuild)];
  children.push(front.process, far.process, near.process, ...proxies.map((each) => each.process));

  const reads = (): string => cache.authorization('reader', [{ repository: KEPT, actions: ['pull'] }]);
  const proxiesAt = (base: string): Target[] =>
    proxies.map(({ name, process: { pid }, port }) => ({ name, pid: pid!, port, base }));
  let version = 0;
  return {
    image,
    cache,
    nats,
    proxyUrl: `http://127.0.0.1:${proxy.port}`,
    hits: [
      ...proxiesAt(`/v2/${KEPT}`),
      { name: 'nginx', pid: front.process.pid!, port: front.port, base: `/v2/${KEPT}`, authorization: reads },
      { name: 'bare relay', pid: near.process.pid!, port: near.port, base: `/v2/${KEPT}`, authorization: reads },
      { name: 'registry', pid: cache.reader.pid, port: cache.reader.port, base: `/v2/${KEPT}`, authorization: reads },
    ],
    misses: [
      ...proxiesAt(`/v2/${HOST}/${FRESH}`),
      { name: 'nginx', pid: far.process.pid!, port: far.port, base: `/v2/${FRESH}` },
      { name: 'registry', pid: upstream.pid, port: upstream.port, base: `/v2/${FRESH}` },
    ],
    async tell(tag, digest) {
      const reference = `${KEPT}:${tag}`;
      const key = stateKey(parseReference(reference));
      const bucket = watcher.bucket(IMAGE_STATE);
      if (digest === undefined) return bucket.delete(key);
      version += 1;
      await bucket.put(key, { reference, uid: 'bench', resourceVersion: String(version), digest });
    },
    async stop() {
      for (const child of children) child.kill('SIGTERM');
      await watcher.close();
      await Promise.all([cache.stop(), upstream.stop(), nats.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The memory settings of the chart, and the limit that Node takes in a container of the chart's 384 MiB: here it would see the machine. */
const AS_THE_CHART = { NODE_OPTIONS: '--max-semi-space-size=2 --max-old-space-size=192', MALLOC_ARENA_MAX: '1' };

/** `bare-relay.ts` in front of a port of this machine. */
async function startBareRelay(backendPort: string): Promise<{ process: ChildProcess; port: number }> {
  const port = await freePort();
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'bare-relay.ts'), String(port), backendPort], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: process.env['PATH'], ...AS_THE_CHART },
  });
  await portAnswers(port);
  return { process: child, port };
}

/** The service as the chart runs it, with the readers' key and its own NATS user. */
async function startProxy(build: string, folder: string, cache: CacheRegistry, upstream: string, nats: NatsServer) {
  const [port, health] = [await freePort(), await freePort()];
  const file = (name: string, text: string): string => {
    const at = path.join(folder, name);
    writeFileSync(at, text, { mode: 0o600 });
    return at;
  };
  const child = spawn(process.execPath, [build], {
    stdio: ['ignore', openSync(path.join(folder, 'proxy.log'), 'a'), 'inherit'],
    env: {
      PATH: process.env['PATH'],
      ...AS_THE_CHART,
      KUIK_LISTEN: `127.0.0.1:${port}`,
      KUIK_HTTP_HOST: '127.0.0.1',
      KUIK_HTTP_PORT: String(health),
      KUIK_NATS_URL: nats.url,
      KUIK_NATS_NKEY_FILE: file('node-proxy.seed', nats.seeds['node-proxy']),
      KUIK_CACHE_URL: cache.readerUrl,
      KUIK_CACHE_KEY_FILE: file('key.pem', cache.readerKey.privateKey),
      KUIK_CACHE_CERTIFICATE_FILE: file('certificate.pem', cache.readerKey.certificate),
      KUIK_REGISTRIES: JSON.stringify({ [HOST]: { address: upstream, plainHTTP: true } }),
    },
  });
  await until(async () => (await fetch(`http://127.0.0.1:${health}/readyz`)).ok, { what: 'the proxy' });
  return { process: child, port };
}

/** Stands for pod-watcher: the only one who may make the bucket. */
async function watcherOf(nats: NatsServer, folder: string): Promise<Bus> {
  const seedFile = path.join(folder, 'pod-watcher.seed');
  writeFileSync(seedFile, nats.seeds['pod-watcher'], { mode: 0o600 });
  const bus = connectBus({ url: nats.url, service: 'pod-watcher', seedFile });
  const bucket = bus.bucket(IMAGE_STATE, { create: true });
  await until(async () => (await bucket.keys(), true), { what: 'the state bucket' });
  return bus;
}
