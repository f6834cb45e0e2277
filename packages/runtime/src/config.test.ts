import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { loadConfig } from './config.ts';
import type { Env } from './config.ts';
import { ConfigError } from './config-error.ts';

const folder = mkdtempSync(join(tmpdir(), 'kuik-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function written(text: string): string {
  const path = join(folder, `file-${++files}`);
  writeFileSync(path, text);
  return path;
}

/** Written as text or as a number, as packages/contracts' durations are. */
const seconds = z.union([z.string(), z.number()]).transform((written, context) => {
  const amount = /^([0-9]+)s$/.exec(String(written))?.[1];
  if (amount === undefined)
    context.addIssue({ code: 'custom', message: `${JSON.stringify(written)} is not a duration` });
  return Number(amount) * 1000;
});

const schema = z.object({
  cache: z.object({
    url: z.string().refine((text) => URL.canParse(text), 'must be a URL'),
    connectTimeout: seconds.default(1000),
    memory: z.number().int().default(64),
  }),
  redis: z.object({ passwordFile: z.string().optional(), db: z.number().int().default(0) }),
  registries: z
    .record(
      z.string().regex(/^[a-z.]+$/, 'must be a host'),
      z.object({ insecure: z.boolean().optional(), caFile: z.string().optional() }),
    )
    .default({}),
  rules: z
    .array(z.object({ match: z.string().refine((text) => !text.includes('('), 'not a valid pattern') }))
    .default([]),
  prefixes: z.array(z.string()).default(['localhost:7439']),
  mode: z.enum(['on', 'off']).default('on'),
  dryRun: z.boolean().default(false),
  health: z.object({ host: z.string().default('0.0.0.0'), port: z.number().int().min(0).default(8081) }),
});

const load = (env: Env, yaml?: string): z.output<typeof schema> =>
  loadConfig({ name: 'test', schema, env, ...(yaml === undefined ? {} : { file: written(yaml) }) });
const good: Env = { KUIK_CACHE_URL: 'http://cache:5000' };

function mistakesOf(run: () => unknown): Record<string, string> {
  try {
    run();
  } catch (error) {
    if (error instanceof ConfigError)
      return Object.fromEntries(error.mistakes.map(({ path, reason }) => [path, reason]));
    throw error;
  }
  return {};
}

describe('loadConfig', () => {
  it('fills in defaults of groups that are absent', () => {
    expect(load(good)).toMatchObject({
      cache: { url: 'http://cache:5000', connectTimeout: 1000 },
      redis: { db: 0 },
      prefixes: ['localhost:7439'],
      health: { host: '0.0.0.0', port: 8081 },
    });
  });

  it('lets the environment win over the file', () => {
    const config = load(
      { KUIK_CACHE_CONNECT_TIMEOUT: '2s', KUIK_HEALTH_PORT: '0' },
      'cache: { url: "https://c", connectTimeout: 5s, memory: 1024 }',
    );
    expect(config.cache).toEqual({ url: 'https://c', connectTimeout: 2000, memory: 1024 });
    expect(config.health.port).toBe(0);
  });

  it.each([
    ['KUIK_PREFIXES', 'a:1, b:2', { prefixes: ['a:1', 'b:2'] }],
    ['KUIK_PREFIXES', '["a:1"]', { prefixes: ['a:1'] }],
    ['KUIK_RULES', '[{"match": "x"}]', { rules: [{ match: 'x' }] }],
    ['KUIK_REGISTRIES', '{docker.io: {insecure: true}}', { registries: { 'docker.io': { insecure: true } } }],
    ['KUIK_DRY_RUN', 'true', { dryRun: true }],
    ['KUIK_MODE', 'off', { mode: 'off' }],
    ['KUIK_REDIS_DB', '3', { redis: { db: 3 } }],
    ['KUIK_MODE', '', { mode: 'on' }],
  ])('reads %s=%j', (name, value, expected) => {
    expect(load({ ...good, [name]: value })).toMatchObject(expected);
  });

  it('reports every mistake at once, of the file and of the environment', () => {
    const yaml = [
      'cache: { connectTimeout: 5, memory: much }',
      'registries: { quay.io: { insecur: true }, ghcr.io: { caFile: /nowhere/ca.pem }, A b: {} }',
      'rules: [{ match: a }, { match: "(" }, {}]',
      'mode: maybe',
      'helth: {}',
      'redis: { passwordFile: /nowhere/password }',
    ].join('\n');
    expect(
      mistakesOf(() => load({ KUIK_REDIS_DB: 'three', KUIK_DRY_RUN: 'yes', KUIK_HEALTH_PORTS: '1' }, yaml)),
    ).toEqual({
      'cache.url': 'missing',
      'cache.connectTimeout': '5 is not a duration',
      'cache.memory': 'must be a number',
      'registries["quay.io"]': 'unknown key "insecur"; did you mean "insecure"?',
      'registries["A b"]': 'must be a host',
      'rules[1].match': 'not a valid pattern',
      'rules[2].match': 'missing',
      mode: 'must be on or off',
      helth: 'unknown key "helth"; did you mean "health"?',
      'redis.passwordFile': 'cannot read /nowhere/password: ENOENT',
      'registries["ghcr.io"].caFile': 'cannot read /nowhere/ca.pem: ENOENT',
      'redis.db': 'must be a number (from KUIK_REDIS_DB)',
      dryRun: 'must be true or false (from KUIK_DRY_RUN)',
      KUIK_HEALTH_PORTS: 'unknown variable; did you mean KUIK_HEALTH_PORT?',
    });
  });

  it('renders them for a person', () => {
    const error = new ConfigError('/etc/kuik/config.yaml', [
      { path: 'rules[2].match', reason: 'not a valid pattern' },
      { path: 'cache.url', reason: 'missing' },
    ]);
    expect(error.render().split('\n')).toEqual([
      'config error  2 mistakes in /etc/kuik/config.yaml',
      '              rules[2].match     not a valid pattern',
      '              cache.url          missing',
    ]);
  });

  it.each([
    ['a list', '- 1', { '(whole file)': 'must be a map of settings' }],
    [
      'a repeated key',
      'mode: on\nmode: off',
      { '(YAML)': expect.stringContaining('Map keys must be unique at line 2') },
    ],
    ['a text in place of a map', 'cache: fast', { cache: 'must be a map' }],
  ])('names what is wrong with %s', (_, yaml, expected) => {
    expect(mistakesOf(() => load(good, yaml))).toMatchObject(expected);
  });

  it('names a file that is not there', () => {
    expect(mistakesOf(() => load({ ...good, KUIK_CONFIG: join(folder, 'absent') }))).toEqual({
      '(whole file)': 'cannot read it: ENOENT',
    });
  });

  it("ignores variables that kubelet makes for Services and other programs' own", () => {
    const links = {
      KUIK_HEALTH_PORT: 'tcp://10.0.0.1:80',
      KUIK_CACHE_SERVICE_HOST: '10.0.0.1',
      KUIK_CACHE_PORT_5000_TCP: 'tcp://10.0.0.1:5000',
      KUIK_SOMETHING_ELSE: 'x',
    };
    expect(load({ ...good, ...links }).health.port).toBe(8081);
  });

  it('takes files that can be read, wherever they are named', () => {
    const path = written('hunter2\n');
    const config = load({ ...good, KUIK_REDIS_PASSWORD_FILE: path }, `registries: { quay.io: { caFile: ${path} } }`);
    expect(config).toMatchObject({ redis: { passwordFile: path }, registries: { 'quay.io': { caFile: path } } });
    expect(mistakesOf(() => load({ ...good, KUIK_REDIS_PASSWORD_FILE: '/nowhere/password' }))).toEqual({
      'redis.passwordFile': 'cannot read /nowhere/password: ENOENT',
    });
  });

  it('freezes what it returns, deeply', () => {
    const config = load(good);
    expect(() => ((config.cache as { url: string }).url = 'x')).toThrow(TypeError);
    expect(() => config.prefixes.push('x')).toThrow(TypeError);
  });
});
