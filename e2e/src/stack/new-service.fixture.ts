import { cpSync, mkdirSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const CHECKOUT = path.resolve(import.meta.dirname, '../../..');
const FOLDERS = ['packages', 'services', 'e2e', 'bench', 'scripts', 'docs', 'deploy', 'charts'];
const FILES = ['docker-compose.yaml', 'package.json', 'tsconfig.json', '.dependency-cruiser.cjs'];

/** The smallest service that hears, says, and keeps something in Redis: every room, as short as it can be. */
const ECHO: Readonly<Record<string, string>> = {
  'service.yaml': `
runs: replicated
needs: [redis]
cache: reader
nats:
  publishes: [kuik.image.used]
  subscribes: [kuik.image.used]
env: { ECHO: 'yes' }
local:
  replicas: 3
  settings: { greeting: 'hello \${proxyPrefix}' }
compose:
  ports: [8099]
`,
  'package.json': JSON.stringify({
    name: '@kuik/echo',
    private: true,
    type: 'module',
    description: 'says what it hears',
    dependencies: { '@kuik/bus': 'workspace:*', '@kuik/contracts': 'workspace:*', '@kuik/runtime': 'workspace:*' },
  }),
  'README.md': '# echo\n',
  'src/main.ts': `
import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadEchoConfig } from './config.ts';

await runService({ name: 'echo', load: loadEchoConfig, createApp });
`,
  'src/config.ts': `
import { cacheConfig, httpConfig, natsConfig, redisConfig } from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';

const echoConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  redis: redisConfig,
  cache: cacheConfig,
  greeting: z.string().default('hello'),
});
export type EchoConfig = z.output<typeof echoConfig>;
export const loadEchoConfig = (env: Env): EchoConfig => loadConfig({ name: 'echo', schema: echoConfig, env });
`,
  'src/app.ts': `
import { openBus } from '@kuik/bus';
import { HOLDERS_CONFIRM, IMAGE_USED } from '@kuik/contracts';
import { composeParts, HealthServer, type App, type ServiceContext } from '@kuik/runtime';
import type { EchoConfig } from './config.ts';

export function createApp(config: EchoConfig, context: ServiceContext): App {
  const { log, metrics } = context;
  const bus = openBus(config.nats, 'echo', context);
  const health = new HealthServer({ ...config.http, metrics, notReady: () => parts.notReady() });
  const hint = { namespace: 'default', pullSecrets: [], images: [], requestId: config.greeting };
  const connected = new Promise<void>((resolve) => {
    bus.onStatus((status) => status === 'connected' && resolve());
  });
  const parts = composeParts(
    [
      health,
      {
        name: 'bus',
        async start() {
          await connected;
          const heard = new Promise<string>((resolve) => {
            bus.subscribe(IMAGE_USED, ({ requestId }) => resolve(requestId));
          });
          bus.publish(IMAGE_USED, hint);
          log.info('heard', { greeting: await heard });
          // Not declared: the server must refuse it.
          const asked = bus.request(HOLDERS_CONFIRM, { images: [{ uid: 'u', reference: 'r' }] }, { timeoutMs: 2_000 });
          await asked.catch((error: unknown) => log.warn('not answered', { error }));
        },
        close: () => bus.close(),
      },
    ],
    { log },
  );
  return parts;
}
`,
};

/** A checkout of its own with a service `echo` in it: its folder, linked as an install would link it, and nothing else. */
export interface NewCheckout {
  readonly folder: string;
  read(file: string): string;
  write(file: string, text: string): void;
  /** What a person still does by hand: the subchart and its two mentions in the umbrella chart. */
  addSubchart(): void;
}

/** Copies this checkout (not what is installed or built) into a temporary folder and adds the folder of the service. */
export function checkoutWithEcho(): NewCheckout {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-checkout-'));
  const made = /\/(dist|\.kuik|\.turbo)$/;
  for (const name of [...FOLDERS, ...FILES])
    cpSync(path.join(CHECKOUT, name), path.join(folder, name), {
      recursive: true,
      verbatimSymlinks: true,
      filter: (from) => !made.test(from),
    });
  symlinkSync(path.join(CHECKOUT, 'node_modules'), path.join(folder, 'node_modules'));
  const read = (file: string): string => readFileSync(path.join(folder, file), 'utf8');
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  };
  for (const [file, text] of Object.entries(ECHO)) write(`services/echo/${file}`, text);
  cpSync(path.join(folder, 'services/gc/node_modules'), path.join(folder, 'services/echo/node_modules'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  return {
    folder,
    read,
    write,
    addSubchart() {
      const chart = 'charts/kube-image-keeper';
      const charts = path.join(folder, chart, 'charts');
      cpSync(path.join(charts, 'gc'), path.join(charts, 'echo'), { recursive: true });
      for (const file of ['Chart.yaml', 'templates/_workload.tpl', 'templates/rbac.yaml']) {
        const own = `${chart}/charts/echo/${file}`;
        write(own, read(own).replaceAll(/\bgc\b/g, 'echo'));
      }
      write(`${chart}/Chart.yaml`, `${read(`${chart}/Chart.yaml`)}  - name: echo\n    version: 3.0.0-dev\n`);
      const schema = JSON.parse(read(`${chart}/values.schema.json`)) as { properties: Record<string, unknown> };
      schema.properties['echo'] = schema.properties['gc'];
      write(`${chart}/values.schema.json`, JSON.stringify(schema));
    },
  };
}
