import { describe, expect, it } from '@jest/globals';
import { SERVICES, type ServiceName } from '@kuik/contracts';
import { loadedBy } from './rendered-settings.ts';

const SECRET = 'hunter2';
/** Every shared setting of a service, each one wrong; the URLs hold a password. */
const WRONG = {
  KUIK_NATS_URL: `http://u:${SECRET}@nats:4222`,
  KUIK_NATS_NKEY_FILE: '/nowhere/nkey',
  KUIK_REDIS_URL: `${SECRET} is no URL`,
  KUIK_REDIS_PASSWORD_FILE: '/nowhere/password',
  KUIK_CACHE_URL: `ftp://u:${SECRET}@cache:5000`,
  KUIK_CACHE_KEY_FILE: '/nowhere/registry.key',
  KUIK_BROKER_TOKEN_FILE: '/nowhere/token',
  KUIK_REGISTRIES: '{quay.io: {caFile: /nowhere/ca.pem}}',
  KUIK_RULES_FILE: '/nowhere/rules.yaml',
  KUIK_HTTP_PORT: '70000',
};
type Setting = keyof typeof WRONG;

const SAID: Readonly<Record<Setting, readonly string[]>> = {
  KUIK_NATS_URL: ['nats.url: must be a URL that starts with nats:// or tls://'],
  KUIK_NATS_NKEY_FILE: ['nats.nkeyFile: cannot read /nowhere/nkey: ENOENT'],
  KUIK_REDIS_URL: ['redis.url: must be a URL that starts with redis:// or rediss://'],
  KUIK_REDIS_PASSWORD_FILE: ['redis.passwordFile: cannot read /nowhere/password: ENOENT'],
  KUIK_CACHE_URL: ['cache.url: must be a URL that starts with http:// or https://'],
  KUIK_CACHE_KEY_FILE: [
    'cache.keyFile: cannot read /nowhere/registry.key: ENOENT',
    'cache: keyFile and certificateFile go together',
  ],
  KUIK_BROKER_TOKEN_FILE: ['broker.tokenFile: cannot read /nowhere/token: ENOENT'],
  KUIK_REGISTRIES: ['registries["quay.io"].caFile: cannot read /nowhere/ca.pem: ENOENT'],
  KUIK_RULES_FILE: ['rulesFile: cannot read /nowhere/rules.yaml: ENOENT'],
  KUIK_HTTP_PORT: ['http.port: Too big: expected number to be <=65535'],
};

const EVERY: readonly Setting[] = ['KUIK_NATS_URL', 'KUIK_NATS_NKEY_FILE', 'KUIK_HTTP_PORT'];
const REDIS: readonly Setting[] = ['KUIK_REDIS_URL', 'KUIK_REDIS_PASSWORD_FILE'];
const CACHE: readonly Setting[] = ['KUIK_CACHE_URL', 'KUIK_CACHE_KEY_FILE'];
const UPSTREAM: readonly Setting[] = ['KUIK_REGISTRIES'];
const BROKER: readonly Setting[] = ['KUIK_BROKER_TOKEN_FILE'];
const RULES: readonly Setting[] = ['KUIK_RULES_FILE'];
const OF: Readonly<Record<ServiceName, readonly Setting[]>> = {
  webhook: [...EVERY, ...RULES],
  'pod-watcher': [...EVERY, ...REDIS, ...UPSTREAM, ...RULES],
  'image-copier': [...EVERY, ...REDIS, ...CACHE, ...UPSTREAM, ...BROKER],
  monitor: [...EVERY, ...REDIS, ...UPSTREAM, ...BROKER],
  gc: [...EVERY, ...CACHE],
  'node-proxy': [...EVERY, ...CACHE, ...UPSTREAM, ...BROKER],
};

describe('wrong settings', () => {
  it.each(SERVICES)('of %s are all told at once, and no URL is repeated', async (service) => {
    const settings = OF[service];
    const told = await loadedBy(service, undefined, Object.fromEntries(settings.map((name) => [name, WRONG[name]])));
    if (typeof told !== 'string') throw new Error(`${service} takes them`);
    const lines = told
      .split('\n')
      .slice(1)
      .map((line) => line.trim().replace(/ {2,}/, ': '));
    expect(lines.sort()).toEqual(settings.flatMap((name) => SAID[name]).sort());
    expect(told).not.toContain(SECRET);
  });
});
