import type { CachedImage, ServiceName } from '@kuik/contracts';
import { freePort, makeImage, makeIndex, until, type ServiceIdentity, type ServiceProcess } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { ask, type Answer } from '../behaviours/raw-client.ts';
import { labelNode } from '../stack/label-node.ts';
import { type LocalParts, leaseLocalParts } from '../stack/local-parts.ts';
import { readMetric } from '../stack/metric.ts';
import { identityOf, startReplica } from '../stack/start-replicas.ts';
import { cachedImages, untilReady } from '../story/cached-images.ts';
import { pod } from '../story/pods.ts';

export const HUB = 'docker.io';

const SECRET = 'regcred';

const PACE = { hosts: { [HUB]: { perSecond: 200, burst: 500 } } };
/** The shortest time between two checks of one image, and of one of the Hub, of which there are many at full size. */
const CHECK_EVERY_MS = 250;
const HUB_CHECK_EVERY_MS = sized({ usual: CHECK_EVERY_MS, full: 20_000 });
/** Name of the images that are only kept and monitored. */
export const OTHERS = 'others';
/** All nodes ask the Hub at once: on a busy machine that takes longer than a registry may. */
const PATIENT = { connect: '20s', headers: '25s' };
/** Checks as often as they come: a day of monitoring in a moment. */
const SETTINGS: Partial<Record<ServiceName, object>> = {
  'image-copier': { pace: PACE, upstreamTimeouts: PATIENT },
  monitor: {
    pace: PACE,
    monitor: {
      interval: `${CHECK_EVERY_MS}ms`,
      budgetPerInterval: 1_000,
      registries: { items: { [HUB]: { interval: `${HUB_CHECK_EVERY_MS}ms`, maxPerInterval: 1_000 } } },
      idle: '50ms',
      tellHosts: '100ms',
    },
  },
};

/** Time is not what the story is about: on a busy machine a node waits for its copier as well. */
const PROXY = { servedInterval: '2s', toldInterval: '100ms', sharedRead: '20s' };

interface NodeOfCluster {
  readonly process: ServiceProcess;
  /** Where its pulls go. */
  readonly proxy: string;
}

/** A cluster whose nodes, all linux/amd64, share one address, before a Docker Hub that counts: what keeps images, and the proxies of some nodes. */
export class QuotaWorld {
  readonly parts: LocalParts & { stop(): Promise<void> };
  readonly monitor: ServiceProcess;
  readonly nodes: readonly NodeOfCluster[];
  readonly #processes: readonly ServiceProcess[];

  private constructor(
    parts: LocalParts & { stop(): Promise<void> },
    kept: readonly ServiceProcess[],
    nodes: readonly NodeOfCluster[],
  ) {
    this.parts = parts;
    this.#processes = [...kept, ...nodes.map(({ process }) => process)];
    this.monitor = kept.find(({ service }) => service === 'monitor')!;
    this.nodes = nodes;
  }

  static async start(nodes: number): Promise<QuotaWorld> {
    const parts = await leaseLocalParts();
    await labelNode(parts.controlPlane.api);
    const identities = await Promise.all(
      (['pod-watcher', 'image-copier', 'monitor', 'node-proxy'] as const).map((name) => identityOf(name, parts)),
    );
    const [watcher, copier, monitor, proxy] = identities as [
      ServiceIdentity,
      ServiceIdentity,
      ServiceIdentity,
      ServiceIdentity,
    ];
    const [kept, proxies] = await Promise.all([
      Promise.all([
        begin(watcher, 'pod-watcher', parts),
        begin(copier, 'image-copier-1', parts),
        begin(copier, 'image-copier-2', parts),
        begin(monitor, 'monitor', parts),
      ]),
      Promise.all(
        Array.from({ length: nodes }, async (_, index) => {
          const port = await freePort();
          const process = await begin(proxy, `node-proxy-${index}`, parts, {
            listen: [`127.0.0.1:${port}`],
            proxy: PROXY,
            upstreamTimeouts: PATIENT,
          });
          return { process, proxy: `127.0.0.1:${port}` };
        }),
      ),
    ]);
    const connected = ({ metricsUrl }: ServiceProcess) => readMetric(metricsUrl, 'kuik_bus_connected');
    const all = [...kept, ...proxies.map(({ process }) => process)];
    await until(async () => (await Promise.all(all.map(connected))).every((value) => value === 1), {
      what: 'everybody to be connected to NATS',
      timeoutMs: 20_000,
    });
    return new QuotaWorld(parts, kept, proxies);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((process) => process.stop()));
    await this.parts.stop();
  }

  get hub() {
    return this.parts.faults.host(HUB);
  }

  /**
   * Puts an image upstream for two platforms, each with an attestation unless told otherwise, as BuildKit makes it: five manifests or three, each of which
   * counts when it is read.
   */
  async push(
    name: string,
    { host = HUB, attestation = true }: { host?: string; attestation?: boolean } = {},
  ): Promise<{ index: string; child: string }> {
    const image = await makeIndex({ seed: name, platforms: ['linux/amd64', 'linux/arm64'], attestation });
    const { digest } = await this.parts.faults.push(host, `library/${name}`, ['1'], image);
    return { index: digest, child: image.platforms['linux/amd64']! };
  }

  /** A pod that uses the image, with its namespace's login if there is one; its pull is not waited for. */
  async use(name: string, host = HUB, namespace = 'default'): Promise<void> {
    const made = pod(name, [{ name: 'app', image: this.reference(name, host) }], [], namespace);
    const secrets = namespace === 'default' ? {} : { imagePullSecrets: [{ name: SECRET }] };
    await this.parts.controlPlane.api.create(`/api/v1/namespaces/${namespace}/pods`, {
      ...made,
      spec: { ...made.spec, ...secrets },
    });
  }

  /** Has so many more images copied, tags of one repository that a pod uses, and forgets what that cost. */
  async keepOthers(count: number): Promise<void> {
    const { faults, controlPlane } = this.parts;
    const tags = Array.from({ length: count }, (_, index) => `v${index}`);
    const references = tags.map((tag) => `${HUB}/library/${OTHERS}:${tag}`);
    await faults.push(HUB, `library/${OTHERS}`, tags, await makeImage({ seed: OTHERS }));
    const containers = references.map((image, index) => ({ name: `c${index}`, image }));
    await controlPlane.api.create('/api/v1/namespaces/default/pods', pod(OTHERS, containers));
    await untilReady(controlPlane.api, references, () => undefined, 60_000 + 300 * count);
    faults.log.reset();
  }

  /** A namespace with a login to the Hub, both of this name. */
  async tenant(username: string): Promise<void> {
    await this.parts.controlPlane.namespace(username);
    const auth = Buffer.from(`${username}:pw`).toString('base64');
    await this.parts.controlPlane.api.create(`/api/v1/namespaces/${username}/secrets`, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: SECRET },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths: { 'https://index.docker.io/v1/': { auth } } }) },
    });
  }

  reference(name: string, host = HUB): string {
    return `${host}/library/${name}:1`;
  }

  ready(...names: string[]): Promise<CachedImage[]> {
    const references = names.map((name) => this.reference(name));
    return untilReady(this.parts.controlPlane.api, references, () => undefined, 60_000);
  }

  async image(name: string, host = HUB): Promise<CachedImage | undefined> {
    return (await cachedImages(this.parts.controlPlane.api)).get(this.reference(name, host));
  }

  /** A manifest, by tag or digest, as a node's containerd asks for it. */
  get({ proxy }: NodeOfCluster, name: string, reference: string): Promise<Answer> {
    return ask(proxy, `/v2/${HUB}/library/${name}/manifests/${reference}`);
  }

  /** GETs of manifests that the Hub has seen: what it counts. */
  counted(name?: string): number {
    const { log } = this.parts.faults;
    const counted = { host: HUB, kind: 'manifest', method: 'GET' } as const;
    if (name === undefined) return log.total(counted).requests;
    return log.requests(counted).filter(({ repository }) => repository === `library/${name}`).length;
  }

  /** HEADs of an image of another registry. */
  looks(name: string, host: string): number {
    const heads = this.parts.faults.log.requests({ host, kind: 'manifest', method: 'HEAD' });
    return heads.filter(({ repository }) => repository === `library/${name}`).length;
  }

  gauge(name: string, host = HUB, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return readMetric(this.monitor.metricsUrl, name, { host, ...labels });
  }

  async until(what: string, check: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    await until(check, { what, timeoutMs, everyMs: 25 });
  }
}

/** A process with the story's settings, and those of its own. */
function begin(identity: ServiceIdentity, name: string, parts: LocalParts, own: object = {}): Promise<ServiceProcess> {
  return startReplica(identity, parts, { name, settings: { ...SETTINGS[identity.service], ...own } });
}
