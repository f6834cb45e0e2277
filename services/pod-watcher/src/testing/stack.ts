import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { type Bus, connectBus, createCredentialClient, type CredentialClient } from '@kuik/bus';
import {
  type CachedImage,
  COPY_QUEUE,
  CRDS,
  type CopyJob,
  FIELD_MANAGERS,
  IMAGE_SERVED,
  type Repository,
} from '@kuik/contracts';
import { createWorker, type Worker } from '@kuik/queue';
import { createMetrics, silentLogger, systemClock } from '@kuik/runtime';
import {
  type KubeObject,
  leaseTestbed,
  type ServiceIdentity,
  serviceIdentity,
  startFaultProxy,
  until,
} from '@kuik/testbed';
import { createApp, type PodWatcherApp } from '../app.ts';
import { podWatcherConfig } from '../config.ts';

export const HOST = 'registry.example.test';
export const NAMESPACE = 'kuik-system';
const GROUP = '/apis/kuik.enix.io/v1alpha1';

export interface Replica extends PodWatcherApp {
  /** Writes to resources so far, as its own metrics count them. */
  writes(): Promise<number>;
}

/** Real servers, each side under its own identity and the chart's own Role; what a test does with them. */
export async function startStack({ definitions = CRDS }: { definitions?: readonly object[] } = {}) {
  const stack = await leaseTestbed({ parts: ['controlPlane', 'nats', 'redis', 'upstream'] });
  const { api } = stack.controlPlane;
  const faults = await startFaultProxy({ backingUrl: stack.upstream.url, tls: true, hosts: [HOST] });
  await stack.controlPlane.applyAll(definitions);
  const identity = await serviceIdentity(stack, 'pod-watcher');
  await stack.controlPlane.applyYaml(chartRole());
  const jobs: CopyJob[] = [];
  const copier = await serviceIdentity(stack, 'image-copier');
  const gc = await serviceIdentity(stack, 'gc');
  const worker: Worker = createWorker(
    COPY_QUEUE,
    copier.redis!,
    (job) => {
      jobs.push(job.payload);
      return Promise.resolve({ do: 'done' });
    },
    { concurrency: 16 },
  );
  const apps: PodWatcherApp[] = [];
  const buses: Bus[] = [];
  const busOf = (service: ServiceIdentity): Bus => {
    const bus = connectBus({ url: service.nats!.url, service: service.service, seedFile: service.nats!.nkeyFile });
    buses.push(bus);
    return bus;
  };

  const askingAs = async (service: ServiceIdentity): Promise<CredentialClient> => {
    const token = readFileSync(service.brokerTokenFile!, 'utf8');
    const bus = busOf(service);
    await until(() => bus.status() === 'connected', { what: `${service.service} to be connected` });
    return createCredentialClient(bus, { readToken: () => token, timeoutMs: 5000 });
  };

  return {
    stack,
    faults,
    api,
    jobs,
    gcBus: busOf(gc),
    async start(name: string, change: object = {}): Promise<Replica> {
      const config = podWatcherConfig.parse({
        http: { host: '127.0.0.1', port: 0 },
        nats: identity.nats,
        redis: identity.redis,
        kube: { kubeconfig: identity.kubeconfig },
        // No test waits for it to run out, and a busy machine does not lose it: a new term raises every intent again.
        lease: { namespace: NAMESPACE, identity: name, duration: '15s', renew: '500ms' },
        registries: faults.registries(),
        reconcile: { spacing: '20ms', settle: '20ms', holders: '20ms' },
        ...change,
      });
      const metrics = createMetrics({ service: 'pod-watcher', defaults: false });
      const app = createApp(config, { name: 'pod-watcher', log: silentLogger, metrics, clock: systemClock });
      apps.push(app);
      await app.start();
      return {
        start: () => app.start(),
        close: () => app.close(),
        get leading() {
          return app.leading;
        },
        get healthPort() {
          return app.healthPort;
        },
        async writes() {
          const text = await (await fetch(`http://127.0.0.1:${app.healthPort}/metrics`)).text();
          const calls = text.matchAll(
            /^kuik_kube_calls_total\{verb="(create|apply|patch|delete)",resource="(\w+)".*\} (\d+)$/gm,
          );
          return [...calls].reduce(
            (sum, [, , resource, count]) =>
              resource === 'cachedimages' || resource === 'repositories' ? sum + Number(count) : sum,
            0,
          );
        },
      };
    },
    /** From other custom resources to ours, as an upgrade does it. */
    upgradeDefinitions: () => stack.controlPlane.applyAll(CRDS),
    images: () => api.list<CachedImage & KubeObject>(`${GROUP}/cachedimages`),
    repositories: () => api.list<Repository & KubeObject>(`${GROUP}/repositories`),
    async image(reference: string): Promise<(CachedImage & KubeObject) | undefined> {
      const all = await api.list<CachedImage & KubeObject>(`${GROUP}/cachedimages`);
      return all.find(({ spec }) => spec.sourceImage === reference);
    },
    async pod(
      name: string,
      image: string,
      { node = 'node-1', spec = {}, metadata = {} }: { node?: string; spec?: object; metadata?: object } = {},
    ) {
      await api.create('/api/v1/namespaces/default/pods', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, ...metadata },
        spec: { containers: [{ name: 'app', image }], ...spec },
      });
      await stack.controlPlane.bindPod('default', name, node);
    },
    deletePod: (name: string) =>
      api.request('DELETE', `/api/v1/namespaces/default/pods/${name}`, { gracePeriodSeconds: 0 }),
    /** What image-copier writes after a copy. */
    async copied({ metadata }: CachedImage, digest: string) {
      const cache = { forUid: metadata.uid, digest, tag: '1.0', bytes: 1024, copiedAt: new Date().toISOString() };
      await api.apply(
        {
          apiVersion: 'kuik.enix.io/v1alpha1',
          kind: 'CachedImage',
          metadata: { name: metadata.name },
          status: { cache },
        },
        { fieldManager: FIELD_MANAGERS.cache, subresource: 'status' },
      );
    },
    /** The asking side of a node proxy on a node. */
    proxyOn: async (node: string) => askingAs(await serviceIdentity(stack, 'node-proxy', { node })),
    /** The asking side of a service of ours. */
    copier: () => askingAs(copier),
    /** What a node proxy tells once a minute. */
    async served(reference: string, lastPulled: string) {
      const bus = busOf(await serviceIdentity(stack, 'node-proxy'));
      await until(() => bus.status() === 'connected', { what: 'the proxy to be connected' });
      const images = [{ reference, pulls: 1, stale: 1, lastPulled }];
      await bus.publishDurable(IMAGE_SERVED, { node: 'node-1', since: lastPulled, images });
    },
    /** The status of asking the upstream for a manifest with this header, past TLS. */
    ask(repository: string, authorization: string, method = 'GET'): Promise<number> {
      const url = new URL(`/v2/${repository}/manifests/1.0`, faults.host(HOST).url);
      const options = { method, ca: faults.ca, servername: HOST, headers: { host: HOST, authorization } };
      return new Promise((resolve, reject) => {
        request(url, options, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        })
          .on('error', reject)
          .end();
      });
    },
    async close() {
      await Promise.all(apps.map((app) => app.close()));
      await Promise.all(buses.map((bus) => bus.close()));
      await worker.close(0);
      await faults.close();
      await stack.stop();
    },
  };
}

export type TestStack = Awaited<ReturnType<typeof startStack>>;

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../../charts/kube-image-keeper/charts/pod-watcher/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *(?:labels|annotations): \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}
