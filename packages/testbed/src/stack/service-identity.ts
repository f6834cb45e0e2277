import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { declaredService, DEFAULTS, needs, type RedisService, type ServiceName } from '@kuik/contracts';
import type {
  CacheRegistry,
  ControlPlane,
  IdentityOptions,
  NatsServer,
  RedisServer,
  ServiceIdentity,
  StackParts,
} from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { createRegistryKey } from './registry-token.ts';

/**
 * Writes what the service proves itself with: a ServiceAccount's token, an nkey, an ACL password, a registry key; each only
 * for services that have such a thing, and only for parts that are given.
 */
export async function serviceIdentity(
  stack: Partial<Pick<StackParts, 'controlPlane' | 'nats' | 'redis' | 'cache'>>,
  service: ServiceName,
  options: IdentityOptions = {},
): Promise<ServiceIdentity> {
  const folder = dataFolder(`identity-${service}`);
  const write: Write = (name, text) => {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    service,
    folder,
    ...(stack.nats ? { nats: natsIdentity(stack.nats, service, write) } : {}),
    ...(stack.redis && needs(service, 'redis') ? { redis: redisIdentity(stack.redis, service, write) } : {}),
    ...(stack.cache ? cacheIdentity(stack.cache, service, write) : {}),
    ...grantsIdentity(service, write),
    ...(stack.controlPlane ? await kubeIdentity(stack.controlPlane, service, options, write) : {}),
  };
}

type Write = (name: string, text: string) => string;

function natsIdentity(nats: NatsServer, service: ServiceName, write: Write): NonNullable<ServiceIdentity['nats']> {
  return { url: nats.url, nkeyFile: write('nkey', nats.seeds[service]) };
}

function redisIdentity(redis: RedisServer, service: RedisService, write: Write): NonNullable<ServiceIdentity['redis']> {
  const { host, username, password } = new URL(redis.url(service));
  return { url: `redis://${host}/0`, username, passwordFile: write('redis-password', password) };
}

function cacheIdentity(cache: CacheRegistry, service: ServiceName, write: Write): Pick<ServiceIdentity, 'cache'> {
  const side = declaredService(service).cache;
  if (!side) return {};
  const { privateKey, certificate } = side === 'writer' ? cache.writerKey : cache.readerKey;
  return {
    cache: {
      url: side === 'writer' ? cache.writerUrl : cache.readerUrl,
      issuer: side === 'writer' ? 'kuik-w' : 'kuik-r',
      keyFile: write('registry.key', privateKey),
      certificateFile: write('registry.crt', certificate),
      ...(side === 'writer' ? { readersCertificateFile: write('readers.crt', cache.readerKey.certificate) } : {}),
    },
  };
}

/** One pair for all stacks of this process: nobody checks the grants of another one. */
let grantsKey: ReturnType<typeof createRegistryKey> | undefined;

function grantsIdentity(service: ServiceName, write: Write): Pick<ServiceIdentity, 'grants'> {
  const part = declaredService(service).grants;
  if (part === undefined) return {};
  grantsKey ??= createRegistryKey('kuik-grants');
  const certificateFile = write('grants.crt', grantsKey.certificate);
  return {
    grants: { certificateFile, ...(part === 'signer' ? { keyFile: write('grants.key', grantsKey.privateKey) } : {}) },
  };
}

async function kubeIdentity(
  plane: ControlPlane,
  service: ServiceName,
  options: IdentityOptions,
  write: Write,
): Promise<Pick<ServiceIdentity, 'kubeconfig' | 'brokerTokenFile'>> {
  const { namespace = DEFAULTS.namespace, serviceAccount = `kuik-${service}`, node = 'node-1' } = options;
  await plane.namespace(namespace);
  await plane.serviceAccount(namespace, serviceAccount);
  return {
    ...(needs(service, 'kube') ? { kubeconfig: await plane.kubeconfigFor(namespace, serviceAccount) } : {}),
    ...(needs(service, 'broker')
      ? { brokerTokenFile: write('broker-token', await brokerToken(plane, namespace, serviceAccount, node)) }
      : {}),
  };
}

const MERGE = { contentType: 'application/merge-patch+json' } as const;

/** The token that a kubelet would project into the service's pod; for that there has to be such a pod, on a node. */
async function brokerToken(plane: ControlPlane, namespace: string, account: string, node: string): Promise<string> {
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  const name = `${account}-${node}`;
  if (!(await plane.api.find(`${pods}/${name}`))) {
    await plane.node(node);
    await plane.api.create(pods, {
      metadata: { name, namespace },
      spec: {
        serviceAccountName: account,
        containers: [{ name: 'service', image: 'unused.invalid/service' }],
        // Where there is a scheduler and a real node, neither is to do anything about it.
        schedulerName: 'none',
      },
    });
    await plane.api.request('PATCH', `${pods}/${name}/status`, { status: { phase: 'Succeeded' } }, MERGE);
    await plane.bindPod(namespace, name, node);
  }
  return plane.token(namespace, account, { audiences: [DEFAULTS.broker.audience], pod: name });
}
