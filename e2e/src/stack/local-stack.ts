import { SERVICES, type ServiceName } from '@kuik/contracts';
import { formatReference, parseReference } from '@kuik/image';
import type {
  ApiClient,
  ControlPlane,
  FaultProxy,
  MadeImage,
  OwnControlPlane,
  PartProcess,
  PushedImage,
  RealNode,
  ServiceProcess,
} from '@kuik/testbed';
import type { OwnControlPlaneParts, Pulled, World } from '../story/world.ts';
import { leaseLocalParts, startLocalParts, type LocalParts, type LocalPartsOptions } from './local-parts.ts';
import { readMetric } from './metric.ts';
import { pullWithSkopeo } from './skopeo.ts';
import { REPLICAS, startReplicas } from './start-replicas.ts';

/** One process of each service: where nothing is about several, more would only cost their start. */
export const ONE_OF_EACH = Object.fromEntries(SERVICES.map((service) => [service, 1])) as Record<ServiceName, number>;

interface ServicesOptions {
  /** Told which services are still waited for. */
  readonly waitingFor?: (what: string) => void;
  /** How many processes of a service, where not as many as it declares. */
  readonly replicas?: Partial<Record<ServiceName, number>>;
}

export interface LocalStackOptions extends LocalPartsOptions, Pick<ServicesOptions, 'replicas'> {
  /** Called as each group of parts is up. */
  readonly report?: (stage: 'parts' | 'services', waitingFor: string) => void;
}

/** The whole system on this machine: real parts, and every service as a process under its own identity. */
export class LocalStack implements World {
  readonly controlPlane: ControlPlane;
  readonly faults: FaultProxy;
  readonly parts: World['parts'];
  readonly services: Record<ServiceName, ServiceProcess[]>;
  readonly pushed = new Map<string, PushedImage>();
  readonly stack: LocalParts['stack'];
  readonly node: RealNode | undefined;
  readonly #facts: LocalParts['facts'];
  readonly #stopParts: () => Promise<void>;

  private constructor(
    parts: LocalParts,
    services: Record<ServiceName, ServiceProcess[]>,
    stopParts: () => Promise<void>,
  ) {
    const { stack, controlPlane, faults, facts, node } = parts;
    this.controlPlane = controlPlane;
    this.faults = faults;
    this.stack = stack;
    this.node = node;
    this.services = services;
    this.#facts = facts;
    this.#stopParts = stopParts;
    this.parts = {
      nats: stack.nats,
      redis: stack.redis,
      'cache-writer': stack.cache.writer,
      'cache-reader': stack.cache.reader,
      upstream: stack.upstream,
      ...ownParts(controlPlane),
    };
  }

  static start(options: LocalStackOptions = {}): Promise<LocalStack> {
    return LocalStack.#start(options, startLocalParts);
  }

  /** The same on a leased control plane, for stories in which the API server does not die. */
  static lease(options: Omit<LocalStackOptions, 'node'> = {}): Promise<LocalStack> {
    return LocalStack.#start(options, leaseLocalParts);
  }

  static async #start(
    options: LocalStackOptions,
    startParts: typeof startLocalParts | typeof leaseLocalParts,
  ): Promise<LocalStack> {
    options.report?.('parts', 'every part');
    const parts = await startParts(options);
    return LocalStack.onParts(parts, () => parts.stop(), {
      waitingFor: (what) => options.report?.('services', what),
      ...(options.replicas && { replicas: options.replicas }),
    });
  }

  /** Starts the services on running parts; when one does not come up, everything is stopped. */
  static async onParts(
    parts: LocalParts,
    stopParts: () => Promise<void>,
    { waitingFor, replicas }: ServicesOptions = {},
  ): Promise<LocalStack> {
    const counts = { ...REPLICAS, ...replicas };
    const started: ServiceProcess[] = [];
    try {
      const groups = await Promise.all(
        SERVICES.map(async (service) => {
          const processes = await startReplicas(service, parts, { replicas: counts[service] });
          started.push(...processes);
          waitingFor?.(SERVICES.filter((name) => !started.some((process) => process.service === name)).join(', '));
          return [service, processes] as const;
        }),
      );
      return new LocalStack(parts, Object.fromEntries(groups) as Record<ServiceName, ServiceProcess[]>, stopParts);
    } catch (error) {
      await Promise.all(started.map((process) => process.stop()));
      await stopParts();
      throw error;
    }
  }

  get api(): ApiClient {
    return this.controlPlane.api;
  }

  get proxyPrefix(): string {
    return this.#facts.proxyPrefix;
  }

  get cacheUrl(): string {
    return this.stack.cache.readerUrl;
  }

  get webhookUrl(): string {
    return `https://127.0.0.1:${this.#facts.admissionPort}/mutate`;
  }

  /** Every process by name: parts and services. */
  processes(): PartProcess[] {
    const { kubelet, containerd, scheduler, controllerManager } = this.node ?? {};
    const node = [kubelet, containerd, scheduler, controllerManager].filter((part) => part !== undefined);
    return [...Object.values(this.parts), ...node, ...Object.values(this.services).flat()];
  }

  async push(host: string, repository: string, tags: readonly string[], image: MadeImage): Promise<PushedImage> {
    const pushed = await this.faults.push(host, repository, tags, image);
    for (const tag of tags) this.pushed.set(formatReference(parseReference(`${host}/${repository}:${tag}`)), pushed);
    this.pushed.set(`${host}/${repository}@${pushed.digest}`, pushed);
    return pushed;
  }

  pull(reference: string, options?: { arch?: string; all?: boolean }): Promise<Pulled> {
    return pullWithSkopeo(this.proxyPrefix, reference, options);
  }

  async inCache(repository: string, digest: string): Promise<boolean> {
    const { cache } = this.stack;
    const authorization = cache.authorization('reader', [{ repository, actions: ['pull'] }]);
    const answer = await fetch(`${cache.readerUrl}/v2/${repository}/blobs/${digest}`, {
      method: 'HEAD',
      headers: { authorization },
    });
    return answer.status === 200;
  }

  metric(process: ServiceProcess, name: string, labels?: Readonly<Record<string, string>>): Promise<number> {
    return readMetric(process.metricsUrl, name, labels);
  }

  /** The upstream registry and every name that leads to it. */
  async bringUpstreamBack(): Promise<void> {
    if (!this.parts.upstream.running()) await this.parts.upstream.restart();
    await Promise.all(this.faults.hostNames().map((name) => this.faults.host(name).up()));
  }

  async stop(): Promise<void> {
    await Promise.all(
      Object.values(this.services)
        .flat()
        .map((process) => process.stop()),
    );
    await this.#stopParts();
  }
}

function ownParts(controlPlane: ControlPlane | OwnControlPlane): OwnControlPlaneParts {
  return 'apiserver' in controlPlane ? { 'kube-apiserver': controlPlane.apiserver, etcd: controlPlane.etcd } : {};
}
