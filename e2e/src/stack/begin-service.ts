import type { ServiceName } from '@kuik/contracts';
import type { ServiceProcess } from '@kuik/testbed';
import type { LocalParts } from './local-parts.ts';
import { identityOf, startReplica } from './start-replicas.ts';

export interface BeginOptions {
  /** Whole sections that take the place of the local stack's. */
  readonly settings?: object;
  /** Told where the service's kubeconfig is, before it starts. */
  readonly lead?: (kubeconfig: string) => void;
}

/** One process of a service over parts that run, under its own identity. */
export async function beginService(
  name: ServiceName,
  parts: LocalParts,
  { settings = {}, lead }: BeginOptions = {},
): Promise<ServiceProcess> {
  const identity = await identityOf(name, parts);
  lead?.(identity.kubeconfig!);
  return startReplica(identity, parts, { settings });
}
