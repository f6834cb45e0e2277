import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectBus, type Bus } from '@kuik/bus';
import { IMAGE_USED, WEBHOOK_CA_SECRET, WEBHOOK_CONFIGURATION, type ImageUsed } from '@kuik/contracts';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@kuik/runtime';
import { leaseTestbed, until, type KubeObject, type Stack } from '@kuik/testbed';
import { createApp, type WebhookApp } from './app.ts';
import { webhookConfig } from './config.ts';

const NAMESPACE = 'kuik-system';
const CONFIGURATION = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${WEBHOOK_CONFIGURATION}`;
const SECRET = `/api/v1/namespaces/${NAMESPACE}/secrets/${WEBHOOK_CA_SECRET}`;
const PODS = '/api/v1/namespaces/default/pods';

let stack: Stack<'controlPlane' | 'nats'>;
let folder: string;
let kubeconfig: string;
let bus: Bus;
const hints: ImageUsed[] = [];
const apps: WebhookApp[] = [];

type Pod = KubeObject & {
  spec: Record<'containers' | 'initContainers' | 'ephemeralContainers', { name: string; image: string }[]>;
};
type Configuration = KubeObject & { webhooks: { clientConfig: { caBundle?: string; url: string } }[] };

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane', 'nats'] });
  folder = await mkdtemp(path.join(tmpdir(), 'kuik-webhook-'));
  await stack.controlPlane.namespace(NAMESPACE);
  await stack.controlPlane.applyYaml(chartRole());
  kubeconfig = await stack.controlPlane.kubeconfigFor(NAMESPACE, 'kuik-webhook');
  const seedFile = await file('watcher.nkey', stack.nats.seeds['pod-watcher']);
  bus = connectBus({ url: stack.nats.url, service: 'pod-watcher', seedFile });
  bus.subscribe(IMAGE_USED, (hint) => void hints.push(hint));
  const [app] = await Promise.all([startWebhook(), startWebhook()]);
  await register(app);
  await until(async () => (await dryRun('probe')).spec.containers[0]?.image.startsWith('localhost:7439/'), {
    what: 'the API server to trust the webhook',
    timeoutMs: 20_000,
  });
}, 120_000);

afterAll(async () => {
  for (const app of apps) await app.close();
  await bus?.close();
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

/** What the replicas go by from now on. */
const rules = (text: string): Promise<string> => file('rules.yaml', text);

async function startWebhook(): Promise<WebhookApp> {
  const nkeyFile = await file('webhook.nkey', stack.nats.seeds.webhook);
  const rulesFile = await rules('');
  const config = loadConfig({
    name: 'webhook',
    schema: webhookConfig,
    env: {
      KUIK_NATS_URL: stack.nats.url,
      KUIK_NATS_NKEY_FILE: nkeyFile,
      KUIK_KUBE_KUBECONFIG: kubeconfig,
      KUIK_RULES_FILE: rulesFile,
      KUIK_HTTP_HOST: '127.0.0.1',
      KUIK_HTTP_PORT: '0',
      KUIK_LISTEN_HOST: '127.0.0.1',
      KUIK_LISTEN_PORT: '0',
      KUIK_CERTIFICATE_DNS_NAMES: '127.0.0.1',
      KUIK_CERTIFICATE_CHECK: '200ms',
    },
  });
  const metrics = createMetrics({ service: 'webhook', defaults: false });
  const app = createApp(config, { name: 'webhook', log: silentLogger, metrics, clock: systemClock });
  apps.push(app);
  await app.start();
  return app;
}

/** As the chart registers it, by URL: the test's API server runs outside of any cluster network. */
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
        rules: [
          { ...rule, operations: ['CREATE'], resources: ['pods'] },
          { ...rule, operations: ['UPDATE'], resources: ['pods/ephemeralcontainers'] },
        ],
        admissionReviewVersions: ['v1'],
        sideEffects: 'NoneOnDryRun',
        failurePolicy: 'Ignore',
        reinvocationPolicy: 'IfNeeded',
        timeoutSeconds: 2,
      },
    ],
  });
}

const podOf = (name: string, spec: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name },
  spec: { containers: [{ name: 'app', image: 'registry.example.test/shop:1.0' }], ...spec },
});
const create = (name: string, spec?: object) => stack.controlPlane.api.create<Pod>(PODS, podOf(name, spec));
const dryRun = (name: string) => stack.controlPlane.api.create<Pod>(`${PODS}?dryRun=All`, podOf(name));
const hintFor = (name: string) =>
  until(() => hints.find((hint) => hint.pod === name), { what: `the hint for pod ${name}` });
const original = (pod: Pod): unknown =>
  JSON.parse(pod.metadata.annotations?.['kuik.enix.io/original-images'] ?? 'null');

describe('the webhook, registered with a real API server', () => {
  it('rewrites a pod and hints at its images', async () => {
    const pod = await create('shop', { initContainers: [{ name: 'setup', image: 'busybox:1.36' }] });
    expect(pod.spec.containers[0]?.image).toBe('localhost:7439/registry.example.test/shop:1.0');
    expect(pod.spec.initContainers[0]?.image).toBe('localhost:7439/docker.io/library/busybox:1.36');
    expect(original(pod)).toEqual({ 'c:app': 'registry.example.test/shop:1.0', 'i:setup': 'busybox:1.36' });
    expect(pod.metadata.labels).toEqual({ 'kuik.enix.io/managed': 'true' });
    expect(await hintFor('shop')).toMatchObject({
      namespace: 'default',
      images: ['registry.example.test/shop:1.0', 'docker.io/library/busybox:1.36'],
      serviceAccount: 'default',
    });
  });

  it('rewrites image volumes', async () => {
    const volumes = [{ name: 'model', image: { reference: 'ghcr.io/models/m:7', pullPolicy: 'IfNotPresent' } }];
    const pod = (await create('volumes', { volumes })) as unknown as { spec: { volumes: { image?: object }[] } };
    expect(pod.spec.volumes[0]?.image).toMatchObject({ reference: 'localhost:7439/ghcr.io/models/m:7' });
  });

  it('rewrites an ephemeral container that is added to a running pod, and only that', async () => {
    await create('debugged');
    const attach = async (name: string, image: string): Promise<Pod> => {
      const body = { spec: { ephemeralContainers: [{ name, image, targetContainerName: 'app' }] } };
      return stack.controlPlane.api.request<Pod>('PATCH', `${PODS}/debugged/ephemeralcontainers`, body, {
        contentType: 'application/strategic-merge-patch+json',
      });
    };
    await attach('one', 'busybox:1');
    const pod = await attach('two', 'busybox:2');
    expect(Object.fromEntries(pod.spec.ephemeralContainers.map(({ name, image }) => [name, image]))).toEqual({
      one: 'localhost:7439/docker.io/library/busybox:1',
      two: 'localhost:7439/docker.io/library/busybox:2',
    });
    expect(original(pod)).toEqual({ 'c:app': 'registry.example.test/shop:1.0' });
  });

  it('rewrites on dry run, and hints at nothing', async () => {
    expect((await dryRun('dry')).spec.containers[0]?.image).toMatch(/^localhost:7439\//);
    await create('after-dry');
    await hintFor('after-dry');
    expect(hints.filter((hint) => hint.pod === 'dry' || hint.pod === 'probe')).toEqual([]);
  });

  it('leaves opted-out pods, our own namespace and real local registries alone', async () => {
    const label = { 'kube-image-keeper.enix.io/image-caching-policy': 'ignore' };
    const optedOut = await stack.controlPlane.api.create<Pod>(PODS, {
      ...podOf('opted-out'),
      metadata: { name: 'opted-out', labels: label },
    });
    const ours = await stack.controlPlane.api.create<Pod>(`/api/v1/namespaces/${NAMESPACE}/pods`, {
      ...podOf('ours'),
    });
    const local = await create('local', { containers: [{ name: 'app', image: 'localhost:5000/app:1' }] });
    expect([optedOut, ours, local].map((pod) => pod.spec.containers[0]?.image)).toEqual([
      'registry.example.test/shop:1.0',
      'registry.example.test/shop:1.0',
      'localhost:5000/app:1',
    ]);
  });

  it('follows its rules without a restart, and keeps those in force when the new ones have mistakes', async () => {
    const metrics = async () => (await fetch(`http://127.0.0.1:${apps[0]!.healthPort}/metrics`)).text();
    const imageIs = (what: string, wanted: RegExp) =>
      until(async () => wanted.test((await dryRun('ruled')).spec.containers[0]?.image ?? ''), { what });
    await rules('namespaces: { default: { mode: observe } }');
    await imageIs('pods to be observed only', /^registry/);
    await rules('mode: on\nignoreImage: []');
    await until(async () => (await metrics()).includes('kuik_rules_reload_total{result="refused"} 1'), {
      what: 'the rules to be refused',
    });
    const observed = await dryRun('ruled');
    expect(observed.spec.containers[0]?.image).toBe('registry.example.test/shop:1.0');
    expect(original(observed)).toEqual({ 'c:app': 'registry.example.test/shop:1.0' });
    expect(observed.metadata.labels).toBeUndefined();
    await rules('');
    await imageIs('pods to be rewritten again', /^localhost:7439/);
  });

  it('shares one authority between its replicas, and puts a lost caBundle back', async () => {
    const secret = await stack.controlPlane.api.get<KubeObject & { data: Record<string, string> }>(SECRET);
    const configuration = async () => stack.controlPlane.api.get<Configuration>(CONFIGURATION);
    expect((await configuration()).webhooks[0]?.clientConfig.caBundle).toBe(secret.data['ca.crt']);
    await stack.controlPlane.api.request(
      'PATCH',
      CONFIGURATION,
      [{ op: 'remove', path: '/webhooks/0/clientConfig/caBundle' }],
      {
        contentType: 'application/json-patch+json',
      },
    );
    await until(async () => (await configuration()).webhooks[0]?.clientConfig.caBundle === secret.data['ca.crt'], {
      what: 'the caBundle to be written again',
    });
    await register(apps[1]!);
    await until(async () => (await dryRun('other')).spec.containers[0]?.image.startsWith('localhost:7439/'), {
      what: 'the other replica to answer with the same authority',
    });
  });

  it('makes new certificates when the Secret is deleted, and is trusted again', async () => {
    await stack.controlPlane.api.delete(SECRET);
    await until(async () => (await stack.controlPlane.api.find(SECRET)) !== undefined, { what: 'a new Secret' });
    const secret = await stack.controlPlane.api.get<KubeObject & { data: Record<string, string> }>(SECRET);
    await until(
      async () =>
        (await stack.controlPlane.api.get<Configuration>(CONFIGURATION)).webhooks[0]?.clientConfig.caBundle ===
        secret.data['ca.crt'],
      { what: 'the new caBundle' },
    );
    await until(async () => (await dryRun('renewed')).spec.containers[0]?.image.startsWith('localhost:7439/'), {
      what: 'the API server to trust the new authority',
    });
  });

  it('is ready, and tells what it did', async () => {
    const page = async (app: WebhookApp, route: string) => fetch(`http://127.0.0.1:${app.healthPort}${route}`);
    const ready = await Promise.all(apps.map(async (app) => (await page(app, '/readyz')).status));
    expect(ready).toEqual([200, 200]);
    const text = (await Promise.all(apps.map(async (app) => (await page(app, '/metrics')).text()))).join('\n');
    expect(text).toMatch(/kuik_webhook_admissions_total\{operation="CREATE",result="patched"\} [1-9]/);
    expect(text).toMatch(/kuik_webhook_images_total\{verdict="keep",reason="LocalRegistry"\} 1/);
  });

  it('admits while NATS is down, and is ready', async () => {
    await stack.nats.kill();
    const pod = await create('no-nats');
    expect(pod.spec.containers[0]?.image).toMatch(/^localhost:7439\//);
    await stack.nats.restart();
  });

  it('is not in the way when it is down: pods are admitted unchanged', async () => {
    for (const app of apps) await app.close();
    const pod = await create('alone');
    expect(pod.spec.containers[0]?.image).toBe('registry.example.test/shop:1.0');
    expect(pod.metadata.labels).toBeUndefined();
  });
});
