import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { WEBHOOK_CA_SECRET, WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { createMetrics, loadConfig, silentLogger, systemClock, type Clock } from '@kuik/runtime';
import { until, type KubeObject, type Stack } from '@kuik/testbed';
import { createApp, type WebhookAdapters, type WebhookApp } from './app.ts';
import { webhookConfig } from './config.ts';
import type { RegisteredWebhook } from './plan-registration.ts';

export const NAMESPACE = 'kuik-system';
export const CONFIGURATION = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${WEBHOOK_CONFIGURATION}`;
export const SECRET = `/api/v1/namespaces/${NAMESPACE}/secrets/${WEBHOOK_CA_SECRET}`;
/** The registration, and the one webhook in it. */
export const REGISTRATION = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  metadata: { name: WEBHOOK_CONFIGURATION },
  name: 'pods.kuik.enix.io',
};
export const podsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

export type Pod = KubeObject & {
  spec: Record<'containers' | 'initContainers' | 'ephemeralContainers', { name: string; image: string }[]>;
};
export type Configuration = KubeObject & {
  webhooks: (RegisteredWebhook & { clientConfig: { caBundle?: string; url: string } })[];
};

/** What becomes of a pod's first image. */
export const imageOf = (pod: Pod): string => pod.spec.containers[0]?.image ?? '';

/** A pod with one container, for a real API server. */
export function onePod(name: string, { spec = {}, metadata = {} }: { spec?: object; metadata?: object } = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...metadata },
    spec: { containers: [{ name: 'app', image: 'registry.example.test/shop:1.0' }], ...spec },
  };
}

/** Webhooks beside a real API server, with the chart's own role; rules are one file that all of them follow. */
export class WebhookBed {
  readonly apps: WebhookApp[] = [];
  readonly #stack: Stack<'controlPlane'>;
  readonly #folder: string;
  readonly #kubeconfig: string;

  private constructor(stack: Stack<'controlPlane'>, folder: string, kubeconfig: string) {
    this.#stack = stack;
    this.#folder = folder;
    this.#kubeconfig = kubeconfig;
  }

  static async open(stack: Stack<'controlPlane'>): Promise<WebhookBed> {
    const folder = await mkdtemp(path.join(tmpdir(), 'kuik-webhook-'));
    await stack.controlPlane.namespace(NAMESPACE);
    await stack.controlPlane.applyYaml(chartRole());
    const bed = new WebhookBed(stack, folder, await stack.controlPlane.kubeconfigFor(NAMESPACE, 'kuik-webhook'));
    await bed.rules('');
    return bed;
  }

  async file(name: string, content: string): Promise<string> {
    const at = path.join(this.#folder, name);
    await writeFile(at, content, { mode: 0o600 });
    return at;
  }

  /** What the replicas go by from now on. */
  rules(text: string): Promise<string> {
    return this.file('rules.yaml', text);
  }

  /** One more replica; `env` for what it is told beside where the API server is. */
  async startWebhook(
    env: Readonly<Record<string, string>>,
    { adapters = {}, clock = systemClock }: { adapters?: WebhookAdapters; clock?: Clock } = {},
  ): Promise<WebhookApp> {
    const config = loadConfig({
      name: 'webhook',
      schema: webhookConfig,
      env: {
        KUIK_KUBE_KUBECONFIG: this.#kubeconfig,
        KUIK_RULES_FILE: path.join(this.#folder, 'rules.yaml'),
        KUIK_HTTP_HOST: '127.0.0.1',
        KUIK_HTTP_PORT: '0',
        KUIK_LISTEN_HOST: '127.0.0.1',
        KUIK_LISTEN_PORT: '0',
        KUIK_CERTIFICATE_DNS_NAMES: '127.0.0.1',
        KUIK_CERTIFICATE_CHECK: '200ms',
        KUIK_PATIENCE: '3s',
        ...env,
      },
    });
    const metrics = createMetrics({ service: 'webhook', defaults: false });
    const app = createApp(config, { name: 'webhook', log: silentLogger, metrics, clock }, adapters);
    this.apps.push(app);
    await app.start();
    return app;
  }

  /** As the chart registers it, by URL: the test's API server runs outside of any cluster network. */
  async register(port: number): Promise<void> {
    const rule = { apiGroups: [''], apiVersions: ['v1'], scope: 'Namespaced' };
    await this.#stack.controlPlane.api.apply({
      apiVersion: REGISTRATION.apiVersion,
      kind: REGISTRATION.kind,
      metadata: REGISTRATION.metadata,
      webhooks: [
        {
          name: REGISTRATION.name,
          clientConfig: { url: `https://127.0.0.1:${port}/mutate` },
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

  configuration(): Promise<Configuration> {
    return this.#stack.controlPlane.api.get<Configuration>(CONFIGURATION);
  }

  /** A pod as the API server would store it. */
  dryRun(name: string, change?: Parameters<typeof onePod>[1], namespace = 'default'): Promise<Pod> {
    return this.#stack.controlPlane.api.create<Pod>(`${podsOf(namespace)}?dryRun=All`, onePod(name, change));
  }

  /** Until the API server sends pods. */
  async asked(what = 'the API server to trust the webhook'): Promise<void> {
    await until(async () => imageOf(await this.dryRun('probe')).startsWith('localhost:7439/'), {
      what,
      timeoutMs: 20_000,
    });
  }

  async close(): Promise<void> {
    for (const app of this.apps) await app.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../charts/kube-image-keeper/charts/webhook/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *labels: \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}
