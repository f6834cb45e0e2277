import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ADMISSION_POLICY,
  ADMITTED_BY_ANNOTATION,
  REQUEST_ID_ANNOTATION,
  SPARED_OWNERS,
  WEBHOOK_CONFIGURATION,
} from '@kuik/contracts';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@kuik/runtime';
import { leaseTestbed, until, type KubeObject, type Stack } from '@kuik/testbed';
import type { AdmissionWish } from './admission-path.ts';
import { createApp, type WebhookApp } from './app.ts';
import { webhookConfig } from './config.ts';

const NAMESPACE = 'kuik-system';
const REGISTRATIONS = '/apis/admissionregistration.k8s.io/v1';
const POLICY = `${REGISTRATIONS}/mutatingadmissionpolicies/${ADMISSION_POLICY}`;
const BINDING = `${REGISTRATIONS}/mutatingadmissionpolicybindings/${ADMISSION_POLICY}`;
const REGISTRATION = `${REGISTRATIONS}/mutatingwebhookconfigurations/${WEBHOOK_CONFIGURATION}`;
const PODS = '/api/v1/namespaces/default/pods';
const SPARED = `/api/v1/namespaces/${NAMESPACE}/configmaps/${SPARED_OWNERS}`;
const OWNER = '0be1f7aa-1111-4222-8333-444455556666';
const WRITTEN = 'registry.example.test/shop:1.0';
const THROUGH = `localhost:7439/${WRITTEN}`;

type Pod = KubeObject & { spec: { containers: { image: string }[]; initContainers?: { image: string }[] } };
type Registration = KubeObject & { webhooks: { matchConditions?: { name: string }[] }[] };

let stack: Stack<'controlPlane' | 'nats'>;
let folder: string;
let kubeconfig: string;
const running = new Set<WebhookApp>();

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane', 'nats'] });
  folder = await mkdtemp(path.join(tmpdir(), 'kuik-policy-'));
  await file('rules.yaml', '');
  await stack.controlPlane.namespace(NAMESPACE);
  await stack.controlPlane.applyYaml(chartRole());
  kubeconfig = await stack.controlPlane.kubeconfigFor(NAMESPACE, 'kuik-webhook');
}, 120_000);

afterAll(async () => {
  for (const app of running) await app.close();
  await stack?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../charts/kube-image-keeper/charts/webhook/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *labels: \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}

async function file(name: string, content: string): Promise<string> {
  const at = path.join(folder, name);
  await writeFile(at, content, { mode: 0o600 });
  return at;
}

interface Settings {
  readonly policyCheck?: string;
  readonly patience?: string;
  readonly rules?: string;
}

async function start(
  admission: AdmissionWish,
  { policyCheck = '200ms', patience = '1s', rules = 'rules.yaml' }: Settings = {},
): Promise<WebhookApp> {
  const config = loadConfig({
    name: 'webhook',
    schema: webhookConfig,
    env: {
      KUIK_NATS_URL: stack.nats.url,
      KUIK_NATS_NKEY_FILE: await file('webhook.nkey', stack.nats.seeds.webhook),
      KUIK_KUBE_KUBECONFIG: kubeconfig,
      KUIK_RULES_FILE: path.join(folder, rules),
      KUIK_ADMISSION: admission,
      KUIK_POLICY_CHECK: policyCheck,
      KUIK_PATIENCE: patience,
      KUIK_CERTIFICATE_CHECK: '200ms',
      KUIK_CERTIFICATE_DNS_NAMES: '127.0.0.1',
      KUIK_HTTP_HOST: '127.0.0.1',
      KUIK_HTTP_PORT: '0',
      KUIK_LISTEN_HOST: '127.0.0.1',
      KUIK_LISTEN_PORT: '0',
    },
  });
  const metrics = createMetrics({ service: 'webhook', defaults: false });
  const app = createApp(config, { name: 'webhook', log: silentLogger, metrics, clock: systemClock });
  running.add(app);
  await app.start();
  return app;
}

async function close(app: WebhookApp): Promise<void> {
  running.delete(app);
  await app.close();
}

/** By URL, as the chart registers a webhook outside of the cluster. */
async function register(app: WebhookApp): Promise<void> {
  const rule = { apiGroups: [''], apiVersions: ['v1'], scope: 'Namespaced' };
  await stack.controlPlane.api.apply({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: WEBHOOK_CONFIGURATION },
    webhooks: [
      {
        name: 'pods.kuik.enix.io',
        clientConfig: { url: `https://127.0.0.1:${app.admissionPort}/mutate` },
        rules: [{ ...rule, operations: ['CREATE'], resources: ['pods'] }],
        admissionReviewVersions: ['v1'],
        sideEffects: 'NoneOnDryRun',
        failurePolicy: 'Ignore',
        reinvocationPolicy: 'IfNeeded',
        timeoutSeconds: 2,
      },
    ],
  });
}

const metricsOf = async (app: WebhookApp): Promise<string> =>
  (await fetch(`http://127.0.0.1:${app.healthPort}/metrics`)).text();
const asked = async (app: WebhookApp): Promise<number> =>
  Number(
    /kuik_webhook_admissions_total\{operation="CREATE",result="[a-z]+"\} (\d+)/.exec(await metricsOf(app))?.[1] ?? 0,
  );

function create(
  name: string,
  query = '?dryRun=All',
  { labels, ownerReferences, ...spec }: { labels?: object; ownerReferences?: object[]; [field: string]: unknown } = {},
): Promise<Pod> {
  return stack.controlPlane.api.create<Pod>(`${PODS}${query}`, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels, ownerReferences },
    spec: { containers: [{ name: 'app', image: WRITTEN }], ...spec },
  });
}
const byWhom = ({ metadata: { annotations = {} } }: Pod): string =>
  `${ADMITTED_BY_ANNOTATION in annotations ? 'policy' : ''}${REQUEST_ID_ANNOTATION in annotations ? 'webhook' : ''}`;
const admittedBy = (whom: string): Promise<boolean> =>
  until(async () => byWhom(await create('probe')) === whom, {
    what: `pods to be admitted by ${whom}`,
    timeoutMs: 20_000,
  });
const gated = async (): Promise<boolean> =>
  (await stack.controlPlane.api.get<Registration>(REGISTRATION)).webhooks.every(({ matchConditions = [] }) =>
    matchConditions.some(({ name }) => name === 'not-admitted-by-policy'),
  );

/** What becomes of the image of a pod that belongs to `OWNER`, and who saw to it. */
async function ofOwner(): Promise<[string, string]> {
  const owner = { apiVersion: 'example.test/v1', kind: 'Cluster', name: 'db', uid: OWNER, controller: true };
  const pod = await create('db-1', '?dryRun=All', { ownerReferences: [owner] });
  return [pod.spec.containers[0]!.image, byWhom(pod)];
}
const becomes = (image: string): Promise<boolean> =>
  until(
    async () => {
      const [got, whom] = await ofOwner();
      return got === image && whom === 'policy';
    },
    { what: `the policy to make ${image} of the owner's pods`, timeoutMs: 20_000 },
  );
/** As persons and pod-watcher do. */
const spare = (data: object | null): Promise<unknown> =>
  stack.controlPlane.api.request('PATCH', SPARED, { data }, { contentType: 'application/merge-patch+json' });

/** Creates pods, one after the other, until told to stop; resolves to what they got, each once. */
function createMeanwhile(): { stop: () => Promise<{ images: string[]; count: number }> } {
  const images = new Set<string>();
  let ending = false;
  let count = 0;
  const work = (async () => {
    while (!ending) {
      const pod = await create('meanwhile').catch((error: unknown) => String(error));
      images.add(typeof pod === 'string' ? pod : pod.spec.containers[0]!.image);
      count += 1;
    }
  })();
  return {
    async stop() {
      ending = true;
      await work;
      return { images: [...images], count };
    },
  };
}

describe('a policy that takes over from the webhook', () => {
  let webhook: WebhookApp;
  let policy: WebhookApp;

  it('does so without one pod that fails or keeps its image', async () => {
    // As in a rollout: the old one would take the policy away, as it is told to, but for its patience.
    webhook = await start('webhook', { patience: '1h' });
    await register(webhook);
    await admittedBy('webhook');
    const meanwhile = createMeanwhile();
    policy = await start('auto');
    await admittedBy('policy');
    await until(gated, { what: 'the gate in the registration' });
    expect((await meanwhile.stop()).images).toEqual([THROUGH]);
    expect(await metricsOf(policy)).toContain('kuik_admission_by_policy 1');
  });

  it('is followed by nobody: the webhook is not asked any more', async () => {
    const before = await asked(webhook);
    for (const name of ['a', 'b', 'c']) expect(byWhom(await create(name))).toBe('policy');
    expect(await asked(webhook)).toBe(before);
  });

  it('puts back what somebody removes; the webhook stands in meanwhile', async () => {
    const meanwhile = createMeanwhile();
    await stack.controlPlane.api.delete(BINDING);
    await until(async () => (await stack.controlPlane.api.find(BINDING)) !== undefined, { what: 'the binding' });
    await admittedBy('policy');
    expect((await meanwhile.stop()).images).toEqual([THROUGH]);
  });

  it('follows the rules', async () => {
    await file('rules.yaml', "ignoreImages: ['^registry\\.example\\.test/']");
    await until(async () => (await create('ruled')).spec.containers[0]?.image === WRITTEN, {
      what: 'the new rules to be in force',
      timeoutMs: 20_000,
    });
    expect(byWhom(await create('ruled'))).toBe('policy');
    await file('rules.yaml', '');
    await until(async () => (await create('ruled')).spec.containers[0]?.image === THROUGH, {
      what: 'the old rules to be in force',
      timeoutMs: 20_000,
    });
  });

  it('spares owners that are listed, and those of no list nobody', async () => {
    expect(await ofOwner()).toEqual([THROUGH, 'policy']);
    const metadata = { name: SPARED_OWNERS, namespace: NAMESPACE };
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [OWNER]: 'our database' } };
    await stack.controlPlane.api.apply(map);
    await becomes(WRITTEN);
    expect(byWhom(await create('other'))).toBe('policy');
    await spare(null);
    await becomes(THROUGH);
    await spare({ [OWNER]: 'once more' });
    await becomes(WRITTEN);
    const meanwhile = createMeanwhile();
    await stack.controlPlane.api.delete(SPARED);
    await becomes(THROUGH);
    await stack.controlPlane.api.apply(map);
    await becomes(WRITTEN);
    expect((await meanwhile.stop()).images).toEqual([THROUGH]);
  });

  it('refuses rules that CEL cannot say when there is nothing but the policy', async () => {
    const rules = 'rules-alone.yaml';
    await file(rules, '');
    const alone = await start('policy', { rules });
    await file(rules, `ignoreImages: ['${'x'.repeat(5_000)}']`);
    await until(async () => (await metricsOf(alone)).includes('kuik_rules_reload_total{result="refused"} 1'), {
      what: 'the rules to be refused',
    });
    await close(alone);
    await expect(start('policy', { rules })).rejects.toThrow('cannot be a policy in CEL');
  });

  it('admits with every process of ours down', async () => {
    await close(webhook);
    await close(policy);
    await stack.nats.kill();
    const pod = await create('alone', '', { initContainers: [{ name: 'setup', image: 'busybox:1' }] });
    expect([pod.spec.containers[0]?.image, pod.spec.initContainers?.[0]?.image]).toEqual([
      THROUGH,
      'localhost:7439/docker.io/library/busybox:1',
    ]);
    expect(pod.metadata.labels).toEqual({ 'kuik.enix.io/managed': 'true' });
    expect(pod.metadata.annotations).toEqual({
      'kuik.enix.io/original-images': `{"c:app":"${WRITTEN}","i:setup":"busybox:1"}`,
      'kuik.enix.io/decisions': '{"c:app":"Rewritten default","i:setup":"Rewritten default"}',
      'kuik.enix.io/admitted-by': 'policy',
    });
    expect(await ofOwner()).toEqual([WRITTEN, 'policy']);
    await stack.nats.restart();
  });

  it('goes beside a policy that allows known registries only, by the recipe', async () => {
    const recipe = new URL('../../../docs/recipes/allowed-registries.yaml', import.meta.url);
    const [vap, binding] = await stack.controlPlane.applyYaml(readFileSync(recipe, 'utf8'));
    const judged = (containers: object[], more: Record<string, unknown> = {}): Promise<string> =>
      create('judged', '?dryRun=All', { containers, ...more }).then(
        (pod) => pod.spec.containers[0]!.image,
        (error: unknown) => /not from an allowed registry: (.*)/.exec(String(error))?.[1] ?? String(error),
      );
    const image = (name: string) => judged([{ name: 'app', image: name }]);
    await until(async () => (await image('other.test/x:1')) === 'other.test/x:1', {
      what: 'the recipe to be in force',
    });
    const app = { name: 'app', image: WRITTEN };
    const volumes = [{ name: 'model', image: { reference: 'ghcr.io/models/m:7' } }];
    const optedOut = { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' };
    expect(
      await Promise.all([
        image(WRITTEN),
        image('registry.example.test:5000/a__b/c:1'),
        image('busybox:1'),
        image('localhost:7439/other.test/x:1'),
        image('registry.example.test.evil/x:1'),
        image('acme/shop:1'),
        judged([app], { initContainers: [{ name: 'setup', image: 'other.test/x:1' }] }),
        judged([app], { volumes }),
        judged([app], { labels: optedOut }),
      ]),
    ).toEqual([
      THROUGH,
      'localhost:7439/registry.example.test__5000/a__b/c:1',
      'localhost:7439/docker.io/library/busybox:1',
      'other.test/x:1',
      'registry.example.test.evil/x:1',
      'docker.io/acme/shop:1',
      'other.test/x:1',
      'ghcr.io/models/m:7',
      WRITTEN,
    ]);
    for (const { kind, metadata } of [binding!, vap!]) {
      const plural = kind === vap!.kind ? 'validatingadmissionpolicies' : 'validatingadmissionpolicybindings';
      await stack.controlPlane.api.delete(`${REGISTRATIONS}/${plural}/${metadata.name}`);
    }
  });

  it('gives back to the webhook without one pod that fails or keeps its image', async () => {
    const meanwhile = createMeanwhile();
    webhook = await start('webhook');
    await register(webhook);
    await admittedBy('webhook');
    await until(async () => (await stack.controlPlane.api.find(POLICY)) === undefined, {
      what: 'the policy to be gone',
    });
    expect(await stack.controlPlane.api.find(BINDING)).toBeUndefined();
    expect(await gated()).toBe(false);
    expect((await meanwhile.stop()).images).toEqual([THROUGH]);
    expect(byWhom(await create('after'))).toBe('webhook');
  });
});
