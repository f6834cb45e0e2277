import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CRDS, DEFAULTS, namespaceOf } from '@kuik/contracts';
import {
  freePort,
  leaseControlPlane,
  startControlPlane,
  startFaultProxy,
  startNode,
  startTestbed,
  type ControlPlane,
  type FaultProxy,
  type NodeOptions,
  type OwnControlPlane,
  type RealNode,
  type Stack,
} from '@kuik/testbed';
import { stringify } from 'yaml';
import { identityObjects } from './chart-objects.ts';
import { readDeclarations } from './declarations.ts';
import type { StackFacts } from './service-settings.ts';

export interface LocalPartsOptions {
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
}

/** The chart's; taken where images have to look as they do in a cluster, when it is free. */
const PROXY_PORT = Number(DEFAULTS.proxyPrefixes[0].split(':')[1]);
const UPSTREAM_HOSTS = ['docker.io', 'registry.example.test'];
const RULES = { ignoreImages: ['^local\\.example\\.test:5000/'] };
/** Where pods really start, also those whose image is asked for at each start. */
const NODE_RULES = { ...RULES, ignorePullPolicyAlways: false };

type Parts = Stack<'nats' | 'redis' | 'cache' | 'upstream'>;

/** The real parts with the chart's roles applied and the images' upstream in front, before any service of ours runs. */
export interface LocalParts<C extends ControlPlane = ControlPlane> {
  readonly stack: Parts;
  readonly controlPlane: C;
  readonly faults: FaultProxy;
  readonly facts: StackFacts;
  readonly node?: RealNode;
  readonly environment?: Readonly<Record<string, string>>;
}

type Running<C extends ControlPlane> = LocalParts<C> & { stop(): Promise<void> };

/** Starts every part with empty data and applies CRDs, roles and the webhook's registration. */
export function startLocalParts(options: LocalPartsOptions = {}): Promise<Running<OwnControlPlane>> {
  const { node, waitingFor } = options;
  return assemble(options, startControlPlane, node ? (plane) => startRealNode(plane, node, waitingFor) : undefined);
}

/**
 * The same for tests in which the API server neither dies nor has a real node: the control plane, dearer to start than all the rest, is leased
 * from the test run.
 */
export function leaseLocalParts(options: Omit<LocalPartsOptions, 'node'> = {}): Promise<Running<ControlPlane>> {
  return assemble(options, leaseControlPlane);
}

async function assemble<C extends ControlPlane>(
  { upstream = 'builtin', registries = {}, environment = {} }: LocalPartsOptions,
  obtain: () => Promise<C>,
  nodeOf?: (controlPlane: C) => Promise<RealNode>,
): Promise<Running<C>> {
  const started: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    const [stack, controlPlane] = await Promise.all([
      startTestbed({ parts: ['nats', 'redis', 'cache', 'upstream'] }),
      obtain(),
    ]);
    started.push(
      () => stack.stop(),
      () => controlPlane.stop(),
    );
    const starting = nodeOf?.(controlPlane);
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
    writeFileSync(rulesFile, stringify(nodeOf ? NODE_RULES : RULES));
    const [proxyPort, admissionPort] = [await freePort(nodeOf ? PROXY_PORT : undefined), await freePort()];
    const facts: StackFacts = {
      registries: upstream === 'builtin' ? faults.registries() : registries,
      proxyPrefix: `localhost:${proxyPort}`,
      proxyPort,
      admissionPort,
      rulesFile,
    };
    const namespaces = new Set([...readDeclarations().values()].map((service) => namespaceOf(service)));
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
