import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { namespaceOf, type ServiceName } from '@kuik/contracts';
import {
  freePort,
  serviceIdentity,
  startService,
  type IdentityOptions,
  type ServiceIdentity,
  type ServiceProcess,
} from '@kuik/testbed';
import { stringify } from 'yaml';
import { readDeclarations } from './declarations.ts';
import type { LocalParts } from './local-parts.ts';
import { settingsOf } from './service-settings.ts';

const DECLARATIONS = readDeclarations();

/** How many processes of each service a local stack runs. */
export const REPLICAS = Object.fromEntries(
  [...DECLARATIONS].map(([service, { local }]) => [service, local.replicas]),
) as Record<ServiceName, number>;

export interface ReplicaOptions {
  /** Default: the service's name; also its log's. */
  readonly name?: string;
  /** Whole sections that take the place of the local stack's. */
  readonly settings?: object;
}

/** What a service proves itself with on running parts. */
export function identityOf(
  service: ServiceName,
  { stack, controlPlane }: LocalParts,
  options: Pick<IdentityOptions, 'node'> = {},
): Promise<ServiceIdentity> {
  return serviceIdentity({ controlPlane, nats: stack.nats, redis: stack.redis, cache: stack.cache }, service, {
    namespace: namespaceOf(DECLARATIONS.get(service)!),
    ...options,
  });
}

/** One process of a service on running parts; the caller stops it. */
export async function startReplica(
  identity: ServiceIdentity,
  { facts, environment }: LocalParts,
  { name = identity.service, settings = {} }: ReplicaOptions = {},
): Promise<ServiceProcess> {
  const declaration = DECLARATIONS.get(identity.service)!;
  const healthPort = await freePort();
  const file = path.join(identity.folder, `${name}.yaml`);
  writeFileSync(file, stringify({ ...settingsOf(declaration, identity, name, healthPort, facts), ...settings }));
  return startService(identity.service, {
    name,
    healthPort,
    env: { ...declaration.env, KUIK_CONFIG: file, ...environment },
  });
}

/** Every replica of one service, on running parts; the caller stops them. */
export async function startReplicas(
  service: ServiceName,
  parts: LocalParts,
  { replicas = REPLICAS[service], node }: { readonly replicas?: number; readonly node?: string } = {},
): Promise<ServiceProcess[]> {
  const identity = await identityOf(service, parts, node === undefined ? {} : { node });
  return Promise.all(
    Array.from({ length: replicas }, (_, index) => {
      const one = replicas === 1 ? service : `${service}-${index + 1}`;
      return startReplica(identity, parts, { name: node === undefined ? one : `${one}-${node}` });
    }),
  );
}
