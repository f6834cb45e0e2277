import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connectBus, type Bus } from '@kuik/bus';
import {
  CREDENTIALS,
  type FailureCell,
  IMAGE_STATE,
  isAway,
  isKept,
  isLate,
  sealCredential,
  UPSTREAM_CASES,
} from '@kuik/contracts';
import { parseReference, referrersTag, stateKey, toCacheRepository } from '@kuik/image';
import { makeImage, startFaultProxy, startNats, until, type FaultProxy, type NatsServer } from '@kuik/testbed';
import { HOST, startProxyWorld, type RunningProxy } from '../proxy-world.fixture.ts';
import { BOUNDS, generousTo, HUNG } from './bounds.fixture.ts';
import { openWorld, type Opened } from './opened.fixture.ts';
import { startNobody } from './nobody-listens.fixture.ts';
import { PULLED_CELLS } from './pulled-cells.fixture.ts';
import { makeSignature } from './signature.fixture.ts';
import {
  bringAbout,
  credentialFor,
  DEAD_CDN,
  LAYER_BYTES,
  repositoryOf,
  upstreamHost,
  withCases,
} from './upstream-cases.fixture.ts';

/** Small enough that a layer is more than one. */
const CHUNK_BYTES = 65_536;

const AWAY_CACHES = ['down', 'black-holed'] as const;
const cacheHost = (cache: (typeof AWAY_CACHES)[number]): string => `${cache}.cache.test`;
const GENEROUS = generousTo(BOUNDS.generous);

/** Every registry of the table at once: a host per case of upstream, proxies per case of the cache, a repository per cell. */
export const startFailureWorld = () => openWorld(failureWorld);
export type FailureWorld = Awaited<ReturnType<typeof startFailureWorld>>;

async function failureWorld(opened: Opened) {
  const folder = opened.add(mkdtempSync(path.join(tmpdir(), 'kuik-failures-')), (at) =>
    rmSync(at, { recursive: true, force: true }),
  );
  const nats = opened.add(await startNats(), (one) => one.stop());
  const world = opened.add(await startProxyWorld(), (one) => one.stop());
  const caches = opened.add(
    await startFaultProxy({ backingUrl: 'http://unused.invalid', hosts: AWAY_CACHES.map(cacheHost) }),
    (one) => one.close(),
  );
  const { faults } = world;
  const busOf = (service: 'pod-watcher' | 'node-proxy'): Promise<Bus> => connected(nats, service, folder);
  const nobody = opened.add(await startNobody(), (one) => one.stop());
  const image = await makeImage({ seed: 'failures', layers: [{ bytes: LAYER_BYTES, encoding: 'raw' }] });
  const signature = await makeSignature(image);
  const layer = image.blobs.find(({ size }) => size === LAYER_BYTES)!;

  const [watcher] = await Promise.all([
    busOf('pod-watcher'),
    ...[...UPSTREAM_CASES.map(([upstream]) => upstreamHost(upstream)), DEAD_CDN].map((host) => faults.addHost(host)),
    faults.push(HOST, 'image', ['1'], image),
    world.keep('image', ['1'], image),
    world.keep('half', ['1'], image),
  ]);
  const list = [referrersTag(image.digest)];
  await Promise.all([faults.push(HOST, 'image', list, signature), world.keep('image', list, signature)]);
  giveRepositories(world.upstream.folder, world.cache.folder, layer.digest);
  await caches.host(cacheHost('down')).down();
  caches.host(cacheHost('black-holed')).on().hang();
  await Promise.all(UPSTREAM_CASES.map(([upstream]) => bringAbout(upstream, faults)));
  opened.add(watcher, (one) => one.close());
  watcher.respond(CREDENTIALS, ({ host, publicKey }) =>
    Promise.resolve({ sealed: sealCredential(credentialFor(host), publicKey) }),
  );
  await tellStates(watcher, image.digest);

  /** `knows`: has NATS. `patient`: gives time to a registry that answers, as all of its own do. */
  const startProxy = async (
    cache: FailureCell['cache'],
    { knows = true, patient = true, settings = {} }: { knows?: boolean; patient?: boolean; settings?: object } = {},
  ): Promise<RunningProxy> => {
    const patience = `${patient ? BOUNDS.generous : BOUNDS.patience}ms`;
    return world.start({
      ...(knows ? { bus: await busOf('node-proxy') } : {}),
      settings: {
        registries: withCases(faults.registries(), nobody.address),
        upstreamTimeouts: GENEROUS,
        // Each cell waits as the first one would; what breakers do has a test of its own.
        upstreamBreaker: { failures: 1_000_000 },
        cacheTimeouts: { ...GENEROUS, ...(cache === 'black-holed' ? HUNG : {}), breakerFailures: 1_000_000 },
        proxy: { patience, stateTimeout: '60s', bufferMaxBytes: CHUNK_BYTES, bufferMinBytes: CHUNK_BYTES },
        tags: { patience },
        broker: { timeout: '60s' },
        privateImages: { mode: 'off' },
        ...(isAway(cache) ? { cache: { url: caches.host(cacheHost(cache as 'down')).url } } : {}),
        ...settings,
      },
    });
  };
  const whatOf = (pull: FailureCell['pull']): string => {
    if (pull === 'tags') return 'tags/list';
    if (pull === 'referrers') return `referrers/${image.digest}`;
    if (pull === 'blob' || pull === 'Range') return `blobs/${layer.digest}`;
    return `manifests/${pull === 'digest' ? image.digest : '1'}`;
  };
  const proxies = new Map<string, RunningProxy>();
  const nameOf = ({ upstream, cache, pull }: FailureCell) => {
    const options = { knows: pull !== 'unknown tag', patient: !isLate(upstream) };
    return { name: JSON.stringify([isAway(cache) ? cache : 'there', options]), options };
  };
  for (const cell of PULLED_CELLS) {
    const { name, options } = nameOf(cell);
    if (!proxies.has(name)) proxies.set(name, await startProxy(cell.cache, options));
  }

  return {
    image,
    layer,
    signature,
    faults,
    proxies: [...proxies.values()],
    startProxy,
    /** The proxy that meets the cell's cache, and knows of the cell's tag what is to be known. */
    proxyOf: (cell: FailureCell): RunningProxy => proxies.get(nameOf(cell).name)!,
    /** What the cell asks for: what follows `/v2/`. */
    targetOf(cell: FailureCell): string {
      const { pull, upstream } = cell;
      return `${upstreamHost(upstream)}/${repositoryOf(cell)}/${whatOf(pull)}`;
    },
    /** How often the cell made somebody wait who never answers. */
    hangs(cell: FailureCell): { upstream: number; cache: number } {
      const name = `${upstreamHost(cell.upstream)}/${repositoryOf(cell)}`;
      const count = (of: FaultProxy, host: string, repository: string): number =>
        of.log.requests({ host }).filter((request) => request.repository === repository).length;
      return {
        upstream: cell.upstream === 'black-holed' ? count(faults, upstreamHost('black-holed'), repositoryOf(cell)) : 0,
        cache: count(caches, cacheHost('black-holed'), name),
      };
    },
  };
}
async function connected(nats: NatsServer, service: 'pod-watcher' | 'node-proxy', folder: string): Promise<Bus> {
  const seedFile = path.join(folder, service);
  writeFileSync(seedFile, nats.seeds[service], { mode: 0o600 });
  const bus = connectBus({ url: nats.url, service, seedFile });
  await until(() => bus.status() === 'connected', { what: `${service} to connect` });
  return bus;
}

/** What pod-watcher would say of the tags: which are kept, and which are to be checked. */
async function tellStates(watcher: Bus, digest: string): Promise<void> {
  const bucket = watcher.bucket(IMAGE_STATE, { create: true });
  await until(async () => (await bucket.keys(), true), { what: 'the bucket' });
  const told = PULLED_CELLS.filter(({ pull, cache }) => (pull === 'tag' && isKept(cache)) || pull === 'checked tag');
  await Promise.all(
    told.map((cell) => {
      const reference = `${upstreamHost(cell.upstream)}/${repositoryOf(cell)}:1`;
      return bucket.put(stateKey(parseReference(reference)), {
        reference,
        uid: 'uid',
        resourceVersion: '1',
        ...(isKept(cell.cache) ? { digest } : {}),
        ...(cell.pull === 'checked tag' ? { check: { everyMs: 0 } } : {}),
      });
    }),
  );
}

/** Gives each cell a repository of its own by a link to one: registries answer from it as from any, and nothing is pushed six hundred times. */
function giveRepositories(upstreamFolder: string, cacheFolder: string, layer: string): void {
  const at = (folder: string, host: string, repository: string): string =>
    path.join(folder, 'docker/registry/v2/repositories', toCacheRepository({ host, path: repository })!);
  const link = (from: string, to: string): void => {
    mkdirSync(path.dirname(to), { recursive: true });
    symlinkSync(from, to);
  };
  const half = at(cacheFolder, HOST, 'half');
  rmSync(path.join(half, '_manifests'), { recursive: true });
  rmSync(path.join(half, '_layers/sha256', layer.slice('sha256:'.length)), { recursive: true });
  for (const cell of PULLED_CELLS) {
    const [host, repository] = [upstreamHost(cell.upstream), repositoryOf(cell)];
    link(at(upstreamFolder, HOST, 'image'), at(upstreamFolder, host, repository));
    if (cell.cache === 'hit') link(at(cacheFolder, HOST, 'image'), at(cacheFolder, host, repository));
    if (cell.cache === 'half copied') link(half, at(cacheFolder, host, repository));
  }
}
