import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { namespaceOf, type ServiceName } from '@kuik/contracts';
import { freePort, serviceIdentity, startService, type ServiceProcess } from '@kuik/testbed';
import { stringify } from 'yaml';
import { readDeclarations } from './declarations.ts';
import type { LocalParts } from './local-stack.ts';
import { settingsOf } from './service-settings.ts';

export interface BeginOptions {
  /** Whole sections that take the place of the local stack's. */
  readonly settings?: object;
  /** Told where the service's kubeconfig is, before it starts. */
  readonly lead?: (kubeconfig: string) => void;
}

/** One process of a service over parts that run, under its own identity. */
export async function beginService(
  name: ServiceName,
  { stack, controlPlane, facts }: LocalParts,
  { settings = {}, lead }: BeginOptions = {},
): Promise<ServiceProcess> {
  const declaration = readDeclarations().get(name)!;
  const identity = await serviceIdentity(
    { controlPlane, nats: stack.nats, redis: stack.redis, cache: stack.cache },
    name,
    { namespace: namespaceOf(declaration) },
  );
  lead?.(identity.kubeconfig!);
  const healthPort = await freePort();
  const file = path.join(identity.folder, `${name}.yaml`);
  writeFileSync(file, stringify({ ...settingsOf(declaration, identity, name, healthPort, facts), ...settings }));
  return startService(name, { healthPort, env: { ...declaration.env, KUIK_CONFIG: file } });
}
