import { natsAuthorization, SERVICES, type ServiceName } from '@kuik/contracts';

/** Secrets by name, each a map of file name to text. */
export type SecretFiles = Record<string, Record<string, string>>;

/** Where new keys come from; injected so that a plan can be tested. */
export interface KeySource {
  nkeySeed(): string;
  publicNkey(seed: string): string;
  password(): string;
  registryKey(issuer: string): { privateKey: string; certificate: string };
}

/** Which side of the cache registry a service may use. */
const REGISTRY_SIDE: Partial<Record<ServiceName, 'writers' | 'readers'>> = {
  'image-copier': 'writers',
  gc: 'writers',
  'node-proxy': 'readers',
};
/** Services with a Redis user. */
const REDIS_USERS: readonly ServiceName[] = ['pod-watcher', 'image-copier', 'monitor'];
const REDIS_ACL = '~kuik:* &kuik:* +@all -@dangerous -@admin +info';

export const NATS_SECRET = 'kuik-nats';
export const REDIS_SECRET = 'kuik-redis';
export const REGISTRY_SECRET = 'kuik-registry';

/** The Secret that a service mounts. */
export function secretOf(service: ServiceName): string {
  return `kuik-keys-${service}`;
}

/**
 * Every Secret as it has to be. A key that exists is never replaced: it comes from `existing` wherever it is held there. What is derived from keys (the servers' user lists) is always written anew, so that an upgrade may
 * change permissions without changing a key.
 */
export function planKeys(existing: SecretFiles, source: KeySource): SecretFiles {
  const held = (secret: string, file: string): string | undefined => {
    const text = existing[secret]?.[file];
    return text === undefined || text === '' ? undefined : text;
  };
  const plan: SecretFiles = {};

  const seeds = fromServices((service) => held(secretOf(service), 'nkey') ?? source.nkeySeed());
  const passwords = fromServices((service) => held(secretOf(service), 'redis-password') ?? source.password());
  const sides = {
    writers: registrySide(held, source, 'kuik-w', 'writers', 'image-copier'),
    readers: registrySide(held, source, 'kuik-r', 'readers', 'node-proxy'),
  };
  // Written first: what services share is decided by whoever makes this one.
  plan[REGISTRY_SECRET] = {
    'http-secret': held(REGISTRY_SECRET, 'http-secret') ?? source.password(),
    'writers.crt': sides.writers.certificate,
    'writers.key': sides.writers.privateKey,
    'readers.crt': sides.readers.certificate,
    'readers.key': sides.readers.privateKey,
  };
  for (const service of SERVICES) {
    const side = REGISTRY_SIDE[service];
    plan[secretOf(service)] = {
      nkey: seeds[service],
      ...(REDIS_USERS.includes(service) ? { 'redis-password': passwords[service] } : {}),
      ...(side === undefined
        ? {}
        : { 'registry.key': sides[side].privateKey, 'registry.crt': sides[side].certificate }),
    };
  }
  plan[NATS_SECRET] = { 'nats.conf': natsConf(fromServices((service) => source.publicNkey(seeds[service]))) };
  plan[REDIS_SECRET] = redisFiles(passwords);
  return plan;
}

function registrySide(
  held: (secret: string, file: string) => string | undefined,
  source: KeySource,
  issuer: string,
  side: string,
  service: ServiceName,
): { privateKey: string; certificate: string } {
  const places = [
    [REGISTRY_SECRET, `${side}.key`, `${side}.crt`],
    [secretOf(service), 'registry.key', 'registry.crt'],
  ] as const;
  for (const [secret, key, crt] of places) {
    const [privateKey, certificate] = [held(secret, key), held(secret, crt)];
    if (privateKey !== undefined && certificate !== undefined) return { privateKey, certificate };
  }
  return source.registryKey(issuer);
}

function fromServices(make: (service: ServiceName) => string): Record<ServiceName, string> {
  return Object.fromEntries(SERVICES.map((service) => [service, make(service)])) as Record<ServiceName, string>;
}

/** nats-server's configuration: JSON is within its grammar. */
function natsConf(publicKeys: Record<ServiceName, string>): string {
  const conf = {
    server_name: 'kuik-nats',
    port: 4222,
    http: 8222,
    jetstream: { store_dir: '/data', max_memory_store: 64 * 1024 * 1024, max_file_store: 900 * 1024 * 1024 },
    authorization: natsAuthorization(publicKeys),
  };
  return `${JSON.stringify(conf, undefined, 2)}\n`;
}

function redisFiles(passwords: Record<ServiceName, string>): Record<string, string> {
  const users = REDIS_USERS.map((service) => `user kuik-${service} on >${passwords[service]} ${REDIS_ACL}`);
  return {
    'users.acl': `${['user default off', ...users].join('\n')}\n`,
    'redis.conf': [
      'port 6379',
      'dir /data',
      'aclfile /etc/kuik/users.acl',
      'maxmemory-policy noeviction',
      'appendonly yes',
      'save ""',
      '',
    ].join('\n'),
  };
}
