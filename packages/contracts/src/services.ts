import { DEFAULTS } from './defaults.ts';
import { DECLARED_SERVICES } from './generated/services.ts';
import type { DeclaredService, Need } from './service-declaration.ts';
import { CREDENTIALS } from './subjects.ts';

type Declared = typeof DECLARED_SERVICES;

/** Every process that has an identity of its own on NATS, Redis, the API server and the cache registry. */
export type ServiceName = keyof Declared;
export const SERVICES = Object.keys(DECLARED_SERVICES) as readonly ServiceName[];

/** The services that have this section of configuration. */
export type ServiceNeeding<N extends Need> = {
  [S in ServiceName]: N extends Declared[S]['needs'][number] ? S : never;
}[ServiceName];

/** What the service's own folder says of it. */
export function declaredService(service: ServiceName): DeclaredService {
  return DECLARED_SERVICES[service];
}

export function needs<N extends Need>(service: ServiceName, need: N): service is ServiceNeeding<N> {
  return declaredService(service).needs.includes(need);
}

/** The Lease by which the replicas of a service choose their leader. */
export function leaseName(service: ServiceNeeding<'lease'>): string {
  return `kuik-${service}`;
}

/** Where the chart puts a service: what runs on each node uses the host's network, which a namespace of its own allows. */
export function namespaceOf({ runs }: Pick<DeclaredService, 'runs'>, release: string = DEFAULTS.namespace): string {
  return runs === 'on-each-node' ? `${release}-proxy` : release;
}

/** Who asks the credential broker: a service on each node for repositories of that node's pods only, the others for any. */
export function credentialRequesters(): { onEachNode: ServiceName[]; anywhere: ServiceName[] } {
  const asking = SERVICES.filter((service) => declaredService(service).nats.requests.includes(CREDENTIALS.subject));
  const onNode = (service: ServiceName): boolean => declaredService(service).runs === 'on-each-node';
  return { onEachNode: asking.filter(onNode), anywhere: asking.filter((service) => !onNode(service)) };
}

/** Namespaces whose pods are never touched: ours (we could not start without ourselves) and the cluster's own. */
export function ownNamespaces(release: string): string[] {
  const ours = SERVICES.map((service) => namespaceOf(declaredService(service), release));
  return [...new Set(['kube-system', release, ...ours])];
}
