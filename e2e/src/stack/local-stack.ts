import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CRDS, DEFAULTS, namespaceOf, SERVICES, type ServiceDeclaration, type ServiceName } from '@kuik/contracts';
import { formatReference, parseReference } from '@kuik/image';
import {
  freePort,
  serviceIdentity,
  startControlPlane,
  startFaultProxy,
  startNode,
  startService,
  startTestbed,
  type FaultProxy,
  type IdentityOptions,
  type MadeImage,
  type NodeOptions,
  type OwnControlPlane,
  type PartProcess,
  type PushedImage,
  type RealNode,
  type ServiceIdentity,
  type ServiceProcess,
  type Stack,
} from '@kuik/testbed';
import { stringify } from 'yaml';
import type { Pulled, World } from '../story/world.ts';
import { identityObjects } from './chart-objects.ts';
import { readDeclarations } from './declarations.ts';
import { readMetric } from './metric.ts';
import { settingsOf, type StackFacts } from './service-settings.ts';
import { pullWithSkopeo } from './skopeo.ts';

export interface LocalStackOptions {
  /** `builtin`: a real registry behind the fault proxy, under these names. `none`: for a person's own registries. */
  readonly upstream?: 'builtin' | 'none';
  /** How a person's own registries are reached, with `none`. */
  readonly registries?: Readonly<Record<string, object>>;
  /** With a real node, whose pods really start: Linux, root. Rejects with what is missing. */
  readonly node?: NodeOptions | false;
  /** Told what is waited for while parts start. */
  readonly waitingFor?: (what: string) => void;
  /** Added to every service's environment: for a profiler. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Called as each group of parts is up. */
  readonly report?: (stage: 'parts' | 'services', waitingFor: string) => void;
}

const DECLARATIONS = readDeclarations();

/** How many processes of each service a local stack runs. */
export const REPLICAS = Object.fromEntries(
  [...DECLARATIONS].map(([service, { local }]) => [service, local.replicas]),
) as Record<ServiceName, number>;
/** The chart's; taken where images have to look as they do in a cluster, when it is free. */
const PROXY_PORT = Number(DEFAULTS.proxyPrefixes[0].split(':')[1]);
const UPSTREAM_HOSTS = ['docker.io', 'registry.example.test'];
const RULES = { ignoreImages: ['^local\\.example\\.test:5000/'] };
/** Where pods really start, also those whose image is asked for at each start. */
const NODE_RULES = { ...RULES, ignorePullPolicyAlways: false };

type Parts = Stack<'nats' | 'redis' | 'cache' | 'upstream'>;

/** The real parts with the chart's roles applied and the images' upstream in front, before any service of ours runs. */
export interface LocalParts {
  readonly stack: Parts;
  readonly controlPlane: OwnControlPlane;
  readonly faults: FaultProxy;
  readonly facts: StackFacts;
  readonly node?: RealNode;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts every part with empty data and applies CRDs, roles and the webhook's registration. */
export async function startLocalParts({
  upstream = 'builtin',
  registries = {},
  environment = {},
  node: nodeOptions = false,
  waitingFor,
}: LocalStackOptions = {}): Promise<LocalParts & { stop(): Promise<void> }> {
  const started: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    const [stack, controlPlane] = await Promise.all([
      startTestbed({ parts: ['nats', 'redis', 'cache', 'upstream'] }),
      startControlPlane(),
    ]);
    started.push(
      () => stack.stop(),
      () => controlPlane.stop(),
    );
    const starting = nodeOptions ? startRealNode(controlPlane, nodeOptions, waitingFor) : undefined;
    // It starts beside the rest, which may fail first.
    starting?.catch(() => undefined);
    started.push(async () => (await starting?.catch(() => undefined))?.stop());
    const faults = await startFaultProxy({
      backingUrl: stack.upstream.url,
      hosts: upstream === 'builtin' ? UPSTREAM_HOSTS : [],
      tls: true,
    });
    started.push(() => faults.close());
    const folder = mkdtempSync(path.join(tmpdir(), 'kuik-rules-'));
    started.push(() => Promise.resolve(rmSync(folder, { recursive: true })));
    const rulesFile = path.join(folder, 'rules.yaml');
    writeFileSync(rulesFile, stringify(nodeOptions ? NODE_RULES : RULES));
    const [proxyPort, admissionPort] = [await freePort(nodeOptions ? PROXY_PORT : undefined), await freePort()];
    const facts: StackFacts = {
      registries: upstream === 'builtin' ? faults.registries() : registries,
      proxyPrefix: `localhost:${proxyPort}`,
      proxyPort,
      admissionPort,
      rulesFile,
    };
    const namespaces = new Set([...DECLARATIONS.values()].map((service) => namespaceOf(service)));
    for (const namespace of namespaces) await controlPlane.namespace(namespace);
    await controlPlane.applyAll(CRDS);
    await controlPlane.applyAll(await identityObjects(`https://127.0.0.1:${admissionPort}/mutate`));
    const node = await starting;
    return { stack, controlPlane, faults, facts, ...(node && { node }), environment, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Told what it waits for when that is another run. */
function startRealNode(
  controlPlane: OwnControlPlane,
  options: NodeOptions,
  waitingFor: (what: string) => void = () => undefined,
): Promise<RealNode> {
  const onWait = (pid: number): void => waitingFor(`process ${pid} to give up this machine's node`);
  return startNode(controlPlane, { onWait, ...options });
}

/** The whole system on this machine: real parts, and every service as a process under its own identity. */
export class LocalStack implements World {
  readonly controlPlane: OwnControlPlane;
  readonly faults: FaultProxy;
  readonly parts: World['parts'];
  readonly services: Record<ServiceName, ServiceProcess[]>;
  readonly pushed = new Map<string, PushedImage>();
  readonly stack: Parts;
  readonly node: RealNode | undefined;
  readonly #facts: StackFacts;
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
      'kube-apiserver': controlPlane.apiserver,
      etcd: controlPlane.etcd,
    };
  }

  static async start(options: LocalStackOptions = {}): Promise<LocalStack> {
    options.report?.('parts', 'every part');
    const parts = await startLocalParts(options);
    return LocalStack.onParts(
      parts,
      () => parts.stop(),
      (what) => options.report?.('services', what),
    );
  }

  /** Starts the services on running parts; when one does not come up, everything is stopped. */
  static async onParts(
    parts: LocalParts,
    stopParts: () => Promise<void>,
    waitingFor: (what: string) => void = () => undefined,
  ): Promise<LocalStack> {
    const started: ServiceProcess[] = [];
    try {
      const groups = await Promise.all(
        SERVICES.map(async (service) => {
          const processes = await startReplicas(service, parts);
          started.push(...processes);
          waitingFor(SERVICES.filter((name) => !started.some((process) => process.service === name)).join(', '));
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

  get api(): OwnControlPlane['api'] {
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

  async stop(): Promise<void> {
    await Promise.all(
      Object.values(this.services)
        .flat()
        .map((process) => process.stop()),
    );
    await this.#stopParts();
  }
}

/** Every replica of one service, on running parts; the caller stops them. */
export async function startReplicas(
  service: ServiceName,
  { stack, controlPlane, facts, environment = {} }: LocalParts,
  options: Pick<IdentityOptions, 'node'> = {},
): Promise<ServiceProcess[]> {
  const declaration = DECLARATIONS.get(service)!;
  const identity = await serviceIdentity(
    { controlPlane, nats: stack.nats, redis: stack.redis, cache: stack.cache },
    service,
    { namespace: namespaceOf(declaration), ...options },
  );
  return Promise.all(
    Array.from({ length: declaration.local.replicas }, async (_, index) => {
      const one = declaration.local.replicas === 1 ? service : `${service}-${index + 1}`;
      const name = options.node === undefined ? one : `${one}-${options.node}`;
      return startReplica(declaration, identity, name, facts, environment);
    }),
  );
}

async function startReplica(
  declaration: ServiceDeclaration,
  identity: ServiceIdentity,
  name: string,
  facts: StackFacts,
  environment: Readonly<Record<string, string>>,
): Promise<ServiceProcess> {
  const healthPort = await freePort();
  const file = path.join(identity.folder, `${name}.yaml`);
  writeFileSync(file, stringify(settingsOf(declaration, identity, name, healthPort, facts)));
  return startService(identity.service, {
    name,
    healthPort,
    env: { ...declaration.env, KUIK_CONFIG: file, ...environment },
  });
}
