import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Bus } from '@kuik/bus';
import { toCacheRepository } from '@kuik/image';
import { createLogger, createMetrics, loadConfig, systemClock, type Metrics } from '@kuik/runtime';
import {
  pushImage,
  startCacheRegistry,
  startFaultProxy,
  startUpstreamRegistry,
  until,
  type CacheRegistry,
  type FaultProxy,
  type MadeImage,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { createApp, type NodeProxy } from './app.ts';
import { configSchema } from './config.ts';

export const HOST = 'registry.example.test';

export interface LogLine {
  message: string;
  level: string;
  requestId?: string;
  origin?: string;
  reason?: string;
  status?: number;
  stale?: boolean;
  code?: string;
  error?: string;
  bytes?: number;
  [field: string]: unknown;
}

/** One proxy in this process, and everything that is told of it. */
export interface RunningProxy {
  readonly app: NodeProxy;
  readonly url: string;
  readonly port: number;
  readonly metrics: Metrics;
  readonly lines: LogLine[];
  /** The log line of an answer, by its X-Request-Id. */
  lineOf(answer: Answer): LogLine | undefined;
  /** Writes these settings over its own into its configuration file; resolves when it has read them. */
  change(settings: object): Promise<void>;
  close(): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly complete: boolean;
  readonly ms: number;
}

/** A cache registry, an upstream with faults in front of it, and proxies between them. */
export interface ProxyWorld {
  readonly cache: CacheRegistry;
  readonly upstream: UpstreamRegistry;
  readonly faults: FaultProxy;
  /** Puts an image into the cache, as the copier would. */
  keep(repository: string, tags: readonly string[], image: MadeImage): Promise<void>;
  start(options?: { bus?: Bus; settings?: object }): Promise<RunningProxy>;
  stop(): Promise<void>;
}

export async function startProxyWorld(): Promise<ProxyWorld> {
  const [cache, upstream] = await Promise.all([startCacheRegistry(), startUpstreamRegistry()]);
  const faults = await startFaultProxy({ backingUrl: upstream.url, hosts: [HOST, 'docker.io'] });
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-proxy-'));
  writeFileSync(path.join(folder, 'key.pem'), cache.readerKey.privateKey);
  writeFileSync(path.join(folder, 'certificate.pem'), cache.readerKey.certificate);
  const running = new Set<RunningProxy>();
  let started = 0;
  return {
    cache,
    upstream,
    faults,
    async keep(repository, tags, image) {
      const name = toCacheRepository({ host: HOST, path: repository })!;
      const authorization = cache.authorization('writer', [{ repository: name, actions: ['pull', 'push'] }]);
      await pushImage(cache.writerUrl, name, tags, image, { authorization });
    },
    async start({ bus, settings = {} } = {}) {
      const lines: LogLine[] = [];
      const log = createLogger({
        service: 'node-proxy',
        level: 'debug',
        write: (line) => lines.push(JSON.parse(line) as LogLine),
      });
      const metrics = createMetrics({ service: 'node-proxy', defaults: false });
      const own = {
        listen: ['127.0.0.1:0'],
        http: { host: '127.0.0.1', port: 0 },
        node: 'node-1',
        cache: {
          url: cache.readerUrl,
          issuer: 'kuik-r',
          keyFile: path.join(folder, 'key.pem'),
          certificateFile: path.join(folder, 'certificate.pem'),
        },
        registries: faults.registries(),
        ...settings,
      };
      // In a folder of its own: whoever follows a file looks at its folder.
      const file = path.join(folder, `proxy-${(started += 1)}`, 'config.yaml');
      mkdirSync(path.dirname(file));
      writeFileSync(file, JSON.stringify(own));
      const load = () => loadConfig({ name: 'node-proxy', schema: configSchema, env: {}, file });
      const config = load();
      const context = { name: 'node-proxy', log, metrics, clock: systemClock, source: { file, load } };
      const app = createApp(config, context, bus === undefined ? {} : { bus });
      await app.start();
      const { port } = app.addresses()[0]!;
      const proxy: RunningProxy = {
        app,
        port,
        url: `http://127.0.0.1:${port}`,
        metrics,
        get lines() {
          // A scrape tells of everything that ended before it.
          void metrics.render();
          return lines;
        },
        lineOf: (answer) =>
          proxy.lines.find(
            ({ message, requestId }) => message === 'pull answered' && requestId === answer.headers['x-request-id'],
          ),
        async change(changed) {
          const reloads = () => lines.filter(({ message }) => message === 'settings reloaded').length;
          const before = reloads();
          writeFileSync(file, JSON.stringify({ ...own, ...changed }));
          await until(() => reloads() > before, { what: 'the changed settings to be read' });
        },
        async close() {
          running.delete(proxy);
          await app.close();
        },
      };
      running.add(proxy);
      return proxy;
    },
    async stop() {
      await Promise.all([...running].map((proxy) => proxy.close()));
      await faults.close();
      await Promise.all([cache.stop(), upstream.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly onBytes?: (total: number) => void | Promise<void>;
}

/** One request on a connection of its own; resolves also when the body breaks off. */
export function ask(url: string, { method = 'GET', headers = {}, onBytes }: Ask = {}): Promise<Answer> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method, headers, agent: false }, (incoming) => {
      const chunks: Buffer[] = [];
      let total = 0;
      incoming.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        total += chunk.length;
        const held = onBytes?.(total);
        if (held === undefined) return;
        incoming.pause();
        void held.then(() => incoming.resume());
      });
      incoming.on('error', () => undefined);
      incoming.on('close', () => {
        const { statusCode = 0, headers: got, complete } = incoming;
        resolve({
          status: statusCode,
          headers: got,
          body: Buffer.concat(chunks),
          complete,
          ms: performance.now() - began,
        });
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
