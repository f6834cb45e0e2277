import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connectBus } from '@kuik/bus';
import {
  CREDENTIALS,
  METRICS,
  sealCredential,
  FAILURE_CELLS,
  type FailureCell,
  TRANSFER_OWNERS,
  type TransferOwner,
  UPSTREAM_CASES,
} from '@kuik/contracts';
import { toCacheRepository } from '@kuik/image';
import {
  freePort,
  makeImage,
  startFaultProxy,
  startNats,
  startRedis,
  startService,
  startUpstreamRegistry,
  type ServiceProcess,
  until,
} from '@kuik/testbed';
import { HOST, startProxyWorld, type RunningProxy } from '../proxy-world.fixture.ts';
import { BOUNDS, generousTo } from './bounds.fixture.ts';
import { openWorld, type Opened } from './opened.fixture.ts';
import { pullOf } from './pulled.fixture.ts';
import { startNobody } from './nobody-listens.fixture.ts';
import {
  bringAbout,
  credentialFor,
  DEAD_CDN,
  LAYER_BYTES,
  repositoryOf,
  upstreamHost,
  withCases,
} from './upstream-cases.fixture.ts';

const STORE = 'store.cache.test';
/** What a copier between can touch: a blob that the cache lacks. A part of one stores nothing, so that room for it does not matter. */
export const SHARED_CELLS: readonly FailureCell[] = FAILURE_CELLS.filter(({ cache, pull }) =>
  pull === 'blob'
    ? ['miss', 'half copied', 'read-only', 'disk full'].includes(cache)
    : pull === 'Range' && ['miss', 'half copied'].includes(cache),
);

/**
 * A node proxy that reads blobs through a real image-copier, and what that stores them in. Each cell has a repository and a layer of its own: a
 * transfer is one of a host and a digest.
 */
export const startSharedWorld = () => openWorld(sharedWorld);
export type SharedWorld = Awaited<ReturnType<typeof startSharedWorld>>;

async function sharedWorld(opened: Opened) {
  const folder = opened.add(mkdtempSync(path.join(tmpdir(), 'kuik-shared-')), (at) =>
    rmSync(at, { recursive: true, force: true }),
  );
  const stop = (one: { stop(): Promise<void> }) => one.stop();
  const nats = opened.add(await startNats(), stop);
  const redis = opened.add(await startRedis(), stop);
  const store = opened.add(await startUpstreamRegistry({ name: 'store' }), stop);
  const stores = opened.add(await startFaultProxy({ backingUrl: store.url, hosts: [STORE] }), (one) => one.close());
  const world = opened.add(await startProxyWorld(), stop);
  const { faults } = world;
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text, { mode: 0o600 });
    return path.join(folder, name);
  };
  const image = await makeImage({
    seed: 'shared',
    layers: SHARED_CELLS.map((_, at) => ({ bytes: LAYER_BYTES, encoding: 'raw' as const, seed: `layer-${at}` })),
  });
  // Of no cell: for who waits for a copier.
  const late = await makeImage({
    seed: 'late',
    layers: [1, 2, 3, 4].map((at) => ({ bytes: LAYER_BYTES, encoding: 'raw' as const, seed: `late-${at}` })),
  });
  const layers = image.blobs.filter(({ size }) => size === LAYER_BYTES);
  const layerOf = new Map(SHARED_CELLS.map((cell, at) => [cell, layers[at]!]));
  await Promise.all([
    ...[...UPSTREAM_CASES.map(([upstream]) => upstreamHost(upstream)), DEAD_CDN].map((host) => faults.addHost(host)),
    faults.push(HOST, 'image', ['1'], image),
    faults.push(HOST, 'late', ['1'], late),
  ]);
  const at = (host: string, repository: string): string =>
    path.join(world.upstream.folder, 'docker/registry/v2/repositories', toCacheRepository({ host, path: repository })!);
  for (const cell of SHARED_CELLS) {
    const to = at(upstreamHost(cell.upstream), repositoryOf(cell));
    mkdirSync(path.dirname(to), { recursive: true });
    symlinkSync(at(HOST, 'image'), to);
  }
  stores.host(STORE).on({ kind: 'upload', repository: '*/read-only/*' }).answer(405, { code: 'UNSUPPORTED' });
  stores.host(STORE).on({ kind: 'upload', repository: '*/disk-full/*' }).answer(507, { code: 'UNKNOWN' });

  const nobody = opened.add(await startNobody(), stop);
  const upstreams = {
    registries: withCases(faults.registries(), nobody.address),
    upstreamTimeouts: generousTo(BOUNDS.generous),
  };
  const nkeyOf = (service: 'image-copier' | 'node-proxy' | 'pod-watcher'): string => file(service, nats.seeds[service]);
  const healthPort = await freePort();
  const { host, username, password } = new URL(redis.url('image-copier'));
  const settings = {
    ...upstreams,
    http: { host: '127.0.0.1', port: healthPort },
    nats: { url: nats.url, nkeyFile: nkeyOf('image-copier') },
    redis: { url: `redis://${host}/0`, username, passwordFile: file('redis-password', password) },
    // It is never asked: there is nothing to copy.
    kube: { kubeconfig: file('kubeconfig', KUBECONFIG) },
    cache: { url: stores.host(STORE).url },
    transfers: { listen: '127.0.0.1:0', folder: path.join(folder, 'spool') },
  };
  const env = { KUIK_CONFIG: file('copier.yaml', JSON.stringify(settings)) };
  const copier = opened.add(await startService('image-copier', { healthPort, from: 'source', env }), stop);
  const proxyKey = nkeyOf('node-proxy');
  const broker = opened.add(
    connectBus({ url: nats.url, service: 'pod-watcher', seedFile: nkeyOf('pod-watcher') }),
    (one) => one.close(),
  );
  broker.respond(CREDENTIALS, ({ host, publicKey }) =>
    Promise.resolve({ sealed: sealCredential(credentialFor(host), publicKey) }),
  );
  /** Knows the copier. `patience`: with it. */
  const startProxy = async (patience: string): Promise<RunningProxy> => {
    const proxy = await world.start({
      bus: connectBus({ url: nats.url, service: 'node-proxy', seedFile: proxyKey }),
      settings: {
        ...upstreams,
        upstreamBreaker: { failures: 1_000_000 },
        cacheTimeouts: generousTo(BOUNDS.generous),
        transfers: { connect: `${BOUNDS.generous}ms`, patience },
        privateImages: { mode: 'off' },
      },
    });
    await until(async () => (await proxy.metrics.render()).includes(`${METRICS.proxyOwners.name} 1`), {
      what: 'the proxy to know the copier',
    });
    return proxy;
  };
  const proxy = await startProxy(`${BOUNDS.generous}ms`);
  await until(() => broker.status() === 'connected', { what: 'the broker to connect' });

  /** Says over NATS what the copier said last, in its place, as it would if it were only too busy to answer; true. */
  const beats = async (): Promise<{ say: () => boolean }> => {
    const [ears, mouth] = (['node-proxy', 'image-copier'] as const).map((service) =>
      opened.add(connectBus({ url: nats.url, service, seedFile: nkeyOf(service) }), (one) => one.close()),
    );
    let said: TransferOwner | undefined;
    ears!.subscribe(TRANSFER_OWNERS, (owner) => void (said = owner));
    await until(() => said !== undefined && mouth!.status() === 'connected', { what: 'the copier to say where it is' });
    return {
      say: () => {
        mouth!.publish(TRANSFER_OWNERS, said!);
        return true;
      },
    };
  };

  const before = new Map<string, number>();
  return {
    proxy,
    beats,
    startProxy,
    copier,
    faults,
    late: late.blobs.filter(({ size }) => size === LAYER_BYTES),
    layerOf: (cell: FailureCell) => layerOf.get(cell)!,
    /** How often the proxy counted this result since every case was brought about. */
    counted: async (name: string, result: string): Promise<number> =>
      countedIn(await proxy.metrics.render(), name, result) - (before.get(result) ?? 0),
    /** A sample of the copier's, by its name with its labels; undefined while there is none. */
    metric: (name: string) => metricOf(copier, name),
    copierLog: (): string => readFileSync(copier.logFile, 'utf8'),
    targetOf: (cell: FailureCell): string =>
      `${upstreamHost(cell.upstream)}/${repositoryOf(cell)}/blobs/${layerOf.get(cell)!.digest}`,
    /** Leaves half of each layer of the half copied ones with the copier, then brings every case about. */
    async breakAll(): Promise<void> {
      const half = SHARED_CELLS.filter(({ cache }) => cache === 'half copied');
      for (const cell of half) {
        const match = { kind: 'blob', repository: repositoryOf(cell) } as const;
        const upstream = faults.host(upstreamHost(cell.upstream));
        upstream
          .on(match)
          .cutAt(LAYER_BYTES / 2)
          .times(1);
        upstream.on(match).reset().after(1);
      }
      await Promise.all(half.map((cell) => pullOf(proxy, this.targetOf(cell))));
      // They go on trying to store what they have.
      await until(async () => (await metricOf(copier, METRICS.transfersActive.name)) === 0, {
        what: 'the transfers to be given up',
      });
      const text = await proxy.metrics.render();
      for (const result of ['shared', 'refused', 'alone-owner-failed', 'alone-upstream-silent'])
        before.set(result, countedIn(text, METRICS.proxyShared.name, result));
      await faults.reset();
      await Promise.all(UPSTREAM_CASES.map(([upstream]) => bringAbout(upstream, faults)));
    },
    isStored: async (cell: FailureCell): Promise<boolean> => {
      const { url, repository } = stores.backingOf(
        STORE,
        toCacheRepository({ host: upstreamHost(cell.upstream), path: repositoryOf(cell) })!,
      );
      const target = `${url}/v2/${repository}/blobs/${layerOf.get(cell)!.digest}`;
      return (await fetch(target, { method: 'HEAD' })).status === 200;
    },
  };
}
function countedIn(text: string, name: string, result: string): number {
  const line = text.split('\n').find((one) => one.startsWith(`${name}{result="${result}"} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}

/** A sample by its name, labels and all; undefined while nothing was counted. */
async function metricOf({ metricsUrl }: ServiceProcess, name: string): Promise<number | undefined> {
  const lines = (await (await fetch(metricsUrl)).text()).split('\n');
  const line = lines.find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length));
}

const KUBECONFIG = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:9' } }],
  users: [{ name: 'none', user: { token: 'none' } }],
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'none' } }],
  'current-context': 'none',
});
