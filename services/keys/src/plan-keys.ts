import {
  declaredService,
  natsAuthorization,
  needs,
  REDIS_SERVICES,
  redisUsers,
  SERVICES,
  type RedisService,
  type ServiceName,
} from '@kuik/contracts';

/** Secrets by name, each a map of file name to text. */
export type SecretFiles = Record<string, Record<string, string>>;

/** Where new keys come from; injected so that a plan can be tested. */
export interface KeySource {
  nkeySeed(): string;
  publicNkey(seed: string): string;
  password(): string;
  registryKey(issuer: string): { privateKey: string; certificate: string };
}

export const NATS_SECRET = 'kuik-nats';
export const REDIS_SECRET = 'kuik-redis';
export const REGISTRY_SECRET = 'kuik-registry';
/** What pull grants of private images are signed by. */
export const GRANTS_SECRET = 'kuik-grants';

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

  const seeds = forEach(SERVICES, (service) => held(secretOf(service), 'nkey') ?? source.nkeySeed());
  const passwords = forEach(
    REDIS_SERVICES,
    (service) => held(secretOf(service), 'redis-password') ?? source.password(),
  );
  const sides = {
    writer: registrySide(held, source, 'kuik-w', 'writer'),
    reader: registrySide(held, source, 'kuik-r', 'reader'),
  };
  // Written first: what services share is decided by whoever makes this one.
  plan[REGISTRY_SECRET] = {
    'http-secret': held(REGISTRY_SECRET, 'http-secret') ?? source.password(),
    'writers.crt': sides.writer.certificate,
    'writers.key': sides.writer.privateKey,
    'readers.crt': sides.reader.certificate,
    'readers.key': sides.reader.privateKey,
  };
  const grants = grantsKey(held, source);
  plan[GRANTS_SECRET] = { 'grants.key': grants.privateKey, 'grants.crt': grants.certificate };
  for (const service of SERVICES) {
    const { cache: side, grants: part } = declaredService(service);
    plan[secretOf(service)] = {
      nkey: seeds[service],
      ...(needs(service, 'redis') ? { 'redis-password': passwords[service] } : {}),
      ...(side === undefined
        ? {}
        : { 'registry.key': sides[side].privateKey, 'registry.crt': sides[side].certificate }),
      ...(side === 'writer' ? { 'readers.crt': sides.reader.certificate } : {}),
      ...(part === 'signer' ? { 'grants.key': grants.privateKey } : {}),
      ...(part === undefined ? {} : { 'grants.crt': grants.certificate }),
    };
  }
  plan[NATS_SECRET] = { 'nats.conf': natsConf(forEach(SERVICES, (service) => source.publicNkey(seeds[service]))) };
  plan[REDIS_SECRET] = redisFiles(passwords);
  return plan;
}

function registrySide(
  held: (secret: string, file: string) => string | undefined,
  source: KeySource,
  issuer: string,
  side: 'writer' | 'reader',
): { privateKey: string; certificate: string } {
  const holders = SERVICES.filter((service) => declaredService(service).cache === side);
  const places = [
    [REGISTRY_SECRET, `${side}s.key`, `${side}s.crt`],
    ...holders.map((service) => [secretOf(service), 'registry.key', 'registry.crt'] as const),
  ] as const;
  for (const [secret, key, crt] of places) {
    const [privateKey, certificate] = [held(secret, key), held(secret, crt)];
    if (privateKey !== undefined && certificate !== undefined) return { privateKey, certificate };
  }
  return source.registryKey(issuer);
}

/** One pair for all: who checks holds its certificate alone. */
function grantsKey(
  held: (secret: string, file: string) => string | undefined,
  source: KeySource,
): { privateKey: string; certificate: string } {
  const signers = SERVICES.filter((service) => declaredService(service).grants === 'signer');
  for (const secret of [GRANTS_SECRET, ...signers.map(secretOf)]) {
    const [privateKey, certificate] = [held(secret, 'grants.key'), held(secret, 'grants.crt')];
    if (privateKey !== undefined && certificate !== undefined) return { privateKey, certificate };
  }
  return source.registryKey('kuik-grants');
}

function forEach<S extends ServiceName>(services: readonly S[], make: (service: S) => string): Record<S, string> {
  return Object.fromEntries(services.map((service) => [service, make(service)])) as Record<S, string>;
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

function redisFiles(passwords: Record<RedisService, string>): Record<string, string> {
  return {
    'users.acl': `${redisUsers(passwords).join('\n')}\n`,
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
