import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CRDS, type ServiceName } from '@kuik/contracts';
import { identityObjects, readDeclarations, settingsOf, type StackFacts } from '@kuik/e2e';
import {
  freePort,
  serviceIdentity,
  startControlPlane,
  startService,
  startTestbed,
  type OwnControlPlane,
  type ServiceProcess,
} from '@kuik/testbed';
import { AuditLog } from './audit-log.ts';

/** What holds state about pods and images: the services that a restart of the whole control side begins anew. */
export const RESTARTED = ['webhook', 'pod-watcher', 'gc', 'monitor'] as const satisfies readonly ServiceName[];

/** What Node takes as its limit in a container with the chart's memory limit (half of it, seen with 512 MiB); here it would see the machine. */
const OLD_SPACE_MIB = { webhook: 128, 'pod-watcher': 256, gc: 128, monitor: 128 };

/** However many pods there are, and whatever else the machine does. */
const READY_TIMEOUT_MS = 120_000;

/** Real servers, our services with the product's own times, and kube-apiserver's account of what they ask. */
export interface RestartBed {
  readonly controlPlane: OwnControlPlane;
  readonly audit: AuditLog;
  readonly proxyPrefix: string;
  /** Where the webhook answers. */
  readonly admissionPort: number;
  readonly services: readonly ServiceProcess[];
  stop(): Promise<void>;
}

/** `profiles`: a folder for CPU profiles of pod-watcher. */
export async function startRestartBed(profiles?: string): Promise<RestartBed> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-bench-'));
  const audit = new AuditLog(folder);
  const [stack, controlPlane] = await Promise.all([
    startTestbed({ parts: ['nats', 'redis', 'cache'] }),
    startControlPlane({ audit }),
  ]);
  const services: ServiceProcess[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(services.map((service) => service.stop()));
    await Promise.all([stack.stop(), controlPlane.stop()]);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const admissionPort = await freePort();
    const proxyPrefix = 'localhost:7439';
    const rulesFile = path.join(folder, 'rules.yaml');
    writeFileSync(rulesFile, '');
    const facts: StackFacts = { registries: {}, proxyPrefix, proxyPort: 0, admissionPort, rulesFile };
    await controlPlane.namespace('kuik-system');
    await controlPlane.namespace('kuik-system-proxy');
    await controlPlane.applyAll(CRDS);
    const objects = await identityObjects(`https://127.0.0.1:${admissionPort}/mutate`);
    // The pods of this bed are there already: nobody admits them.
    await controlPlane.applyAll(objects.map((object) => withoutAdmission(object)));
    const declarations = readDeclarations();
    for (const service of RESTARTED) {
      const declaration = declarations.get(service)!;
      const identity = await serviceIdentity({ ...stack, controlPlane }, service);
      for (let index = 1; index <= declaration.local.replicas; index += 1) {
        const name = `${service}-${index}`;
        const healthPort = await freePort();
        const {
          lease,
          reconcile: _reconcile,
          ...settings
        } = settingsOf(declaration, identity, name, healthPort, facts);
        const file = path.join(identity.folder, `${name}.yaml`);
        // The product's own times, not the story's short ones, and a holder's name that a new process does not share.
        const own = lease === undefined ? {} : { lease: { namespace: 'kuik-system' } };
        writeFileSync(file, JSON.stringify({ ...settings, ...own }));
        const env = { KUIK_CONFIG: file, ...environmentOf(service, declaration.env, profiles) };
        services.push(await startService(service, { name, healthPort, env, readyTimeoutMs: READY_TIMEOUT_MS }));
      }
    }
    return { controlPlane, audit, proxyPrefix, admissionPort, services, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What the service declares, with the heap limit of its container, and a profiler when there is a folder for it. */
function environmentOf(
  service: (typeof RESTARTED)[number],
  declared: Readonly<Record<string, string>>,
  profiles: string | undefined,
): Record<string, string> {
  const options = [
    declared['NODE_OPTIONS'],
    `--max-old-space-size=${OLD_SPACE_MIB[service]}`,
    ...(profiles === undefined || service !== 'pod-watcher' ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
  ];
  return { ...declared, NODE_OPTIONS: options.filter((option) => option !== undefined).join(' ') };
}

function withoutAdmission<T extends { kind: string }>(object: T): T {
  if (object.kind !== 'MutatingWebhookConfiguration') return object;
  const { webhooks } = object as unknown as { webhooks: object[] };
  return { ...object, webhooks: webhooks.map((webhook) => ({ ...webhook, rules: [] })) };
}
