import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { requirePart } from '@kuik/testbed';
import { parse, parseAllDocuments } from 'yaml';
import type { ChartObject } from './chart-objects.ts';
import { checkoutWithEcho, type NewCheckout } from './new-service.fixture.ts';
import { loadedBy } from './rendered-settings.ts';

const run = promisify(execFile);

let checkout: NewCheckout;
let wrote: string;
beforeAll(async () => {
  checkout = checkoutWithEcho();
  wrote = await node('scripts/generate.ts');
}, 60_000);
afterAll(() => rmSync(checkout.folder, { recursive: true, force: true }));

async function node(...args: string[]): Promise<string> {
  return (await run(process.execPath, args, { cwd: checkout.folder, env: process.env })).stdout;
}

/** Runs a module of the new checkout: what it prints as JSON. */
async function ask<T>(program: string): Promise<T> {
  checkout.write('e2e/src/stack/question.ts', program);
  return JSON.parse(await node('e2e/src/stack/question.ts')) as T;
}

async function rendered(): Promise<ChartObject[]> {
  const args = ['template', 'kuik', path.join(checkout.folder, 'charts/kube-image-keeper'), '-n', 'kuik-system'];
  const { stdout } = await run(await requirePart('helm'), args, { maxBuffer: 64 << 20 });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as ChartObject | null)
    .filter((object) => object !== null);
}

describe('a service is added by its folder', () => {
  it('from which everything else is written, once', async () => {
    expect(wrote).toContain('wrote packages/contracts/src/generated/services.ts');
    expect(await node('scripts/generate.ts', '--check')).toBe('');
  });

  it('gives it its permissions on NATS, its user on Redis, and nothing more', async () => {
    const { nats, redis } = await ask<{ nats: object; redis: string[] }>(`
      import { natsPermissions, redisUsers } from '@kuik/contracts';
      console.log(JSON.stringify({ nats: natsPermissions().echo, redis: redisUsers({ echo: 'secret' } as never) }));
    `);
    expect(nats).toEqual({
      publish: ['kuik.image.used'],
      subscribe: ['_INBOX_echo.>', 'kuik.image.used'],
      responds: false,
    });
    expect(redis).toContain('user kuik-echo on >secret ~kuik:* &kuik:* +@all -@dangerous -@admin +info');
  });

  it('lets it run in the local stack: identity, settings, and a server that takes what it declared and refuses the rest', async () => {
    const { replicas, files, settings, metrics } = await ask<{
      replicas: number;
      files: string[];
      settings: object;
      metrics: string;
    }>(`
      import { readdirSync, writeFileSync } from 'node:fs';
      import { freePort, serviceIdentity, startService, startTestbed } from '@kuik/testbed';
      import { stringify } from 'yaml';
      import { readDeclarations } from './declarations.ts';
      import { REPLICAS } from './start-replicas.ts';
      import { settingsOf } from './service-settings.ts';

      const stack = await startTestbed({ parts: ['nats', 'redis', 'cache'] });
      try {
        const identity = await serviceIdentity(stack, 'echo');
        const files = readdirSync(identity.folder).sort();
        const healthPort = await freePort();
        const facts = { proxyPrefix: 'localhost:7439', registries: {}, proxyPort: 7439, admissionPort: 1, rulesFile: '/rules.yaml' };
        const declaration = readDeclarations().get('echo')!;
        const settings = settingsOf(declaration, identity, 'echo-1', healthPort, facts);
        writeFileSync(identity.folder + '/echo.yaml', stringify(settings));
        const env = { ...declaration.env, KUIK_CONFIG: identity.folder + '/echo.yaml' };
        const echo = await startService('echo', { from: 'source', env, healthPort });
        const metrics = await (await fetch(echo.metricsUrl)).text();
        await echo.stop();
        console.log(JSON.stringify({ replicas: REPLICAS.echo, files, settings, metrics }));
      } finally {
        await stack.stop();
      }
    `);
    expect(replicas).toBe(3);
    expect(files).toEqual(['nkey', 'redis-password', 'registry.crt', 'registry.key']);
    expect(settings).toMatchObject({ greeting: 'hello localhost:7439', redis: { username: 'kuik-echo' } });
    expect(settings).toMatchObject({ cache: { issuer: 'kuik-r' } });
    const count = (subject: string, fate: string): RegExp =>
      new RegExp(`kuik_bus_messages_total\\{[^}]*subject="${subject}",[^}]*fate="${fate}"[^}]*\\} [1-9]`);
    expect(metrics).toMatch(count('kuik.image.used', 'received'));
    expect(metrics).toMatch(count('kuik.holders.confirm', 'denied'));
  }, 60_000);

  it('runs it in docker compose, with settings that it accepts', async () => {
    const { services } = parse(checkout.read('docker-compose.yaml'), { merge: true }) as {
      services: Record<string, { command: string[]; ports: string[]; environment: object; volumes: unknown[] }>;
    };
    expect(services['echo']).toMatchObject({
      command: ['echo'],
      ports: ['127.0.0.1:8099:8099'],
      environment: { KUIK_CONFIG: '/etc/kuik/settings/echo.yaml', ECHO: 'yes' },
    });
    expect(JSON.stringify(services['echo']!.volumes)).toContain('kuik-keys-echo');
    expect(checkout.read('deploy/compose/accounts.json')).toContain('"service": "echo"');
    const settings = checkout.read('deploy/compose/settings/echo.yaml');
    const loaded = await loadedBy('echo', settings, {}, path.join(checkout.folder, 'services'));
    expect(loaded).toMatchObject({ cache: { url: 'http://cache-reader:5000' }, redis: { username: 'kuik-echo' } });
  });

  it('shows it on the map and in the tables, and holds it to the dependency rule', async () => {
    expect(await node('scripts/check-architecture.ts')).toMatch(/is true for \d+ workspaces/);
    expect(checkout.read('docs/architecture.md')).toContain('says what it hears');
    expect(checkout.read('docs/services.md')).toContain('| `echo`, `webhook` | `echo`, `pod-watcher` |');
    const cruise = async (): Promise<string> => {
      const program = 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs';
      const told = node(program, '--config', '.dependency-cruiser.cjs', 'services/echo');
      return told.catch((error: { stdout: string }) => error.stdout);
    };
    expect(await cruise()).toContain('no dependency violations found');
    checkout.write('services/echo/src/other.ts', "import '../../webhook/src/app.ts';\n");
    expect(await cruise()).toContain('service-to-package: services/echo/src/other.ts');
    rmSync(path.join(checkout.folder, 'services/echo/src/other.ts'));
  }, 60_000);

  it('asks for its subchart, and renders it with what it declared', async () => {
    await expect(rendered()).rejects.toThrow('services/echo has no subchart: make charts/echo');
    checkout.addSubchart();
    const objects = await rendered();
    const named = (kind: string, name: string): string =>
      JSON.stringify(objects.find((object) => object.kind === kind && object.metadata.name === name));
    expect(named('ConfigMap', 'kuik-echo')).toContain('username: kuik-echo');
    expect(named('Deployment', 'kuik-echo')).toContain('{"name":"ECHO","value":"yes"}');
    expect(named('Deployment', 'kuik-echo')).not.toContain('serviceAccountToken');
    expect(named('Role', 'kuik-keys')).toContain('kuik-keys-echo');
    expect(named('NetworkPolicy', 'kuik-redis')).toContain('"app.kubernetes.io/component":"echo"');
    expect(named('NetworkPolicy', 'kuik-registry')).not.toContain('"app.kubernetes.io/component":"echo"');
  });
});

describe('a declaration that is wrong', () => {
  it('is told with its file, the place and what could be there, and nothing is written', async () => {
    const { read, write } = checkout;
    const before = read('services/echo/service.yaml');
    write(
      'services/echo/service.yaml',
      before.replace('subscribes: [kuik.image.used]', 'subscribes: [kuik.image.usde]'),
    );
    await expect(node('scripts/generate.ts')).rejects.toThrow(
      /services\/echo\/service\.yaml: nats\.subscribes\.0: .*"kuik\.image\.used"/,
    );
    write('services/echo/service.yaml', before);
    expect(await node('scripts/generate.ts', '--check')).toBe('');
  });

  it('leaves nothing behind when the folder is gone', async () => {
    rmSync(path.join(checkout.folder, 'services/echo'), { recursive: true });
    expect(await node('scripts/generate.ts')).toContain('removed deploy/compose/settings/echo.yaml');
    expect(checkout.read('docker-compose.yaml')).not.toContain('echo.yaml');
  });
});
