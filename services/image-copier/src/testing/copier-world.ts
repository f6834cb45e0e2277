import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connectBus, type Bus } from '@kuik/bus';
import { COPY_QUEUE, CRDS, IMAGE_STATE, project, type CachedImage, type CacheStanza } from '@kuik/contracts';
import { cachedImageName, parseReference, toCacheRepository } from '@kuik/image';
import { createProducer } from '@kuik/queue';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@kuik/runtime';
import {
  freePort,
  leaseTestbed,
  serviceIdentity,
  startFaultProxy,
  startService,
  until,
  type KubeObject,
  type ServiceProcess,
} from '@kuik/testbed';
import { createApp, type CopierApp } from '../app.ts';
import { copierConfig } from '../config.ts';
import { tcpGate } from './tcp-gate.ts';

const NAMESPACE = 'kuik-system';
const IMAGES = '/apis/kuik.enix.io/v1alpha1/cachedimages';
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
type Image = CachedImage & KubeObject;

export interface Copier extends CopierApp {
  /** The sum of a metric's samples that hold this text among their labels. */
  metric(name: string, labels?: string): Promise<number>;
  /** Writes these settings over its own into its configuration file; resolves when they are in force. */
  change(settings: object): Promise<void>;
}

/**
 * Real servers and the copier's own identity, its role from the chart. The test is pod-watcher (makes objects, raises jobs, keeps
 * the bucket of states) and the upstreams' operator. The API server is reached through a gate that can be shut.
 */
export async function startCopierWorld(hosts: readonly string[]) {
  const stack = await leaseTestbed({ parts: ['controlPlane', 'nats', 'redis', 'cache', 'upstream'] });
  const { controlPlane, cache } = stack;
  const { api } = controlPlane;
  const faults = await startFaultProxy({ backingUrl: stack.upstream.url, tls: true, hosts });
  const gate = await tcpGate(Number(new URL(controlPlane.url).port));
  await controlPlane.applyAll(CRDS);
  await controlPlane.namespace(NAMESPACE);
  await controlPlane.applyYaml(chartRole());
  const identity = await serviceIdentity(stack, 'image-copier');
  const kubeconfig = path.join(identity.folder, 'kubeconfig-by-the-gate');
  const direct = readFileSync(identity.kubeconfig!, 'utf8');
  await writeFile(kubeconfig, direct.replace(controlPlane.url, `https://127.0.0.1:${gate.port}`), { mode: 0o600 });

  const watcher = await serviceIdentity(stack, 'pod-watcher');
  const producer = createProducer(COPY_QUEUE, watcher.redis!);
  const bus: Bus = connectBus({ url: stack.nats.url, service: 'pod-watcher', seedFile: watcher.nats!.nkeyFile });
  const states = bus.bucket(IMAGE_STATE, { create: true });
  await until(async () => (await states.keys()).length === 0, { what: 'the bucket of states' });
  const apps: Copier[] = [];
  const processes: ServiceProcess[] = [];
  const settingsOf = (copy: object, port: number): object => ({
    http: { host: '127.0.0.1', port },
    nats: identity.nats,
    redis: identity.redis,
    cache: identity.cache,
    kube: { kubeconfig },
    registries: faults.registries(),
    broker: { tokenFile: identity.brokerTokenFile, timeout: '1s' },
    upstreamTimeouts: { headers: '1500ms', idle: '2s' },
    copy: { lock: '2s', stallCheck: '500ms', drain: '5s', ...copy },
    transfers: {
      listen: '127.0.0.1:0',
      folder: path.join(identity.folder, `spool-${(spools += 1)}`),
    },
  });
  let spools = 0;

  const find = (name: string) => api.find<Image>(`${IMAGES}/${name}`);
  const create = (reference: string, name = cachedImageName(parseReference(reference))) =>
    api.create<Image>(IMAGES, {
      apiVersion: 'kuik.enix.io/v1alpha1',
      kind: 'CachedImage',
      metadata: { name },
      spec: { sourceImage: reference },
    });
  const enqueue = ({ metadata: { name, uid }, spec: { sourceImage: reference } }: CachedImage, reason = 'NotCached') =>
    producer.enqueue({ name, uid, reference, host: parseReference(reference).host, reason });
  const readCache = (repository: string, what: string, method = 'GET') =>
    fetch(`${cache.readerUrl}/v2/${repository}/${what}`, {
      method,
      headers: { accept: ACCEPT, authorization: cache.authorization('reader', [{ repository, actions: ['pull'] }]) },
    });

  return {
    stack,
    faults,
    gate,
    api,
    bus,
    states,
    /** The queue as somebody would fill it who knows no schema. */
    rawRedis: watcher.redis!,
    find,
    create,
    enqueue,
    readCache,

    /** A copier in this process; `settings` are those that are not the world's own. */
    async start(copy: object = {}, settings: object = {}): Promise<Copier> {
      const own = { ...settingsOf(copy, 0), ...settings };
      // In a folder of its own: whoever follows a file looks at its folder.
      const file = path.join(identity.folder, `copier-of-spool-${spools}`, 'config.yaml');
      await mkdir(path.dirname(file));
      await writeFile(file, JSON.stringify(own));
      const load = () => loadConfig({ name: 'image-copier', schema: copierConfig, env: {}, file });
      const config = load();
      const metrics = createMetrics({ service: 'image-copier', defaults: false });
      const context = {
        name: 'image-copier',
        log: silentLogger,
        metrics,
        clock: systemClock,
        source: { file, load },
      };
      const app = createApp(config, context);
      await app.start();
      const copier: Copier = {
        start: () => app.start(),
        close: () => app.close(),
        get healthPort() {
          return app.healthPort;
        },
        get transfersUrl() {
          return app.transfersUrl;
        },
        async metric(name, labels = '') {
          const text = await (await fetch(`http://127.0.0.1:${app.healthPort}/metrics`)).text();
          const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes(labels));
          return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
        },
        async change(changed) {
          const taken = () => copier.metric('kuik_settings_reload_total', 'applied');
          const before = await taken();
          await writeFile(file, JSON.stringify({ ...own, ...changed }));
          await until(async () => (await taken()) > before, { what: 'the changed settings' });
        },
      };
      apps.push(copier);
      return copier;
    },

    /** A copier in a process of its own, to be killed. */
    async startProcess(copy: object = {}): Promise<ServiceProcess> {
      const healthPort = await freePort();
      const file = path.join(identity.folder, `copier-${healthPort}.yaml`);
      await writeFile(file, JSON.stringify(settingsOf(copy, healthPort)));
      const env = { KUIK_CONFIG: file };
      const started = await startService('image-copier', { healthPort, from: 'source', env });
      processes.push(started);
      return started;
    },

    /** Makes the object, raises its job and waits for the stanza that `done` accepts (default: a digest or an error). */
    async copied(
      reference: string,
      done: (stanza: CacheStanza) => unknown = ({ digest, error }) => digest !== undefined || error !== undefined,
    ): Promise<Image & { stanza: CacheStanza }> {
      const image = await create(reference);
      await enqueue(image);
      return this.told(image, done);
    },

    /** Waits for a stanza of this very object that `done` accepts. */
    told(
      { metadata: { name, uid } }: CachedImage,
      done: (stanza: CacheStanza) => unknown,
      timeoutMs = 30_000,
    ): Promise<Image & { stanza: CacheStanza }> {
      return until(
        async () => {
          const image = await find(name);
          const stanza = image?.status?.cache;
          if (image === undefined || stanza === undefined || stanza.forUid !== uid) return undefined;
          if (!done(stanza)) throw new Error(JSON.stringify(stanza));
          return { ...image, stanza };
        },
        { what: `the copy of ${name} to be told`, timeoutMs },
      );
    },

    /** What a person's annotation and pod-watcher's intent make of it. */
    async force(image: CachedImage, wish: string): Promise<void> {
      await api.request(
        'PATCH',
        `${IMAGES}/${image.metadata.name}`,
        { metadata: { annotations: { 'kuik.enix.io/force-update': wish } } },
        { contentType: 'application/merge-patch+json' },
      );
      await enqueue(image, 'Forced');
    },

    pin: ({ metadata: { name } }: CachedImage, digest: string) =>
      api.request(
        'PATCH',
        `${IMAGES}/${name}`,
        { spec: { pin: digest } },
        { contentType: 'application/merge-patch+json' },
      ),

    /** The state that nodes see of an image. */
    state: async (image: CachedImage) => (await states.get(project(image)!.key))?.value,

    /** Bytes of a manifest in the cache. */
    async manifest(reference: string, of?: string): Promise<{ bytes: Buffer; digest: string | null }> {
      const parsed = parseReference(reference);
      const answer = await readCache(toCacheRepository(parsed)!, `manifests/${of ?? parsed.digest ?? parsed.tag!}`);
      if (answer.status !== 200) throw new Error(`${reference} in the cache: ${answer.status}`);
      return {
        bytes: Buffer.from(await answer.arrayBuffer()),
        digest: answer.headers.get('docker-content-digest'),
      };
    },

    async tags(repository: string): Promise<string[]> {
      const answer = await readCache(repository, 'tags/list');
      return answer.status === 404 ? [] : (((await answer.json()) as { tags: string[] | null }).tags ?? []);
    },

    async close(): Promise<void> {
      await Promise.all([...apps.map((app) => app.close()), ...processes.map((started) => started.stop())]);
      await Promise.all([bus.close(), producer.close()]);
      await gate.close();
      await faults.close();
      await stack.stop();
    },
  };
}

export type CopierWorld = Awaited<ReturnType<typeof startCopierWorld>>;

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../../charts/kube-image-keeper/charts/image-copier/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *labels: \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}
