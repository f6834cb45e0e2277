import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectBus, type Bus } from '@kuik/bus';
import { IMAGE_USED, type ImageUsed } from '@kuik/contracts';
import { ALL_KINDS, imageSlots } from '@kuik/rules';
import { leaseTestbed, until, type KubeObject, type Stack } from '@kuik/testbed';
import type { WebhookApp } from './app.ts';
import { imageFields } from './image-fields.fixture.ts';
import { CONFIGURATION, NAMESPACE, onePod, podsOf, SECRET, WebhookBed, type Pod } from './webhook-bed.fixture.ts';

const PODS = podsOf('default');

let stack: Stack<'controlPlane' | 'nats'>;
let bed: WebhookBed;
let bus: Bus;
const hints: ImageUsed[] = [];

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane', 'nats'] });
  bed = await WebhookBed.open(stack);
  const seedFile = await bed.file('watcher.nkey', stack.nats.seeds['pod-watcher']);
  bus = connectBus({ url: stack.nats.url, service: 'pod-watcher', seedFile });
  bus.subscribe(IMAGE_USED, (hint) => void hints.push(hint));
  const env = {
    KUIK_NATS_URL: stack.nats.url,
    KUIK_NATS_NKEY_FILE: await bed.file('webhook.nkey', stack.nats.seeds.webhook),
  };
  const [app] = await Promise.all([bed.startWebhook(env), bed.startWebhook(env)]);
  await bed.register(app.admissionPort);
  await bed.asked();
}, 120_000);

afterAll(async () => {
  await bed?.close();
  await bus?.close();
  await stack?.stop();
});

const podOf = (name: string, spec: object = {}): object => onePod(name, { spec });
const rules = (text: string): Promise<string> => bed.rules(text);
const dryRun = (name: string): Promise<Pod> => bed.dryRun(name);
const create = (name: string, spec?: object) => stack.controlPlane.api.create<Pod>(PODS, podOf(name, spec));
const hintFor = (name: string) =>
  until(() => hints.find((hint) => hint.pod === name), { what: `the hint for pod ${name}` });
const original = (pod: Pod): unknown =>
  JSON.parse(pod.metadata.annotations?.['kuik.enix.io/original-images'] ?? 'null');

/** What a pod's spec says of images in this API server, and what is made of it. */
const IMAGE_FIELDS = {
  rewritten: [
    'containers[].image',
    'ephemeralContainers[].image',
    'initContainers[].image',
    'volumes[].image.reference',
  ],
  'when it is pulled: decided by, never changed': [
    'containers[].imagePullPolicy',
    'ephemeralContainers[].imagePullPolicy',
    'initContainers[].imagePullPolicy',
    'volumes[].image.pullPolicy',
  ],
  'names of Secrets, for the hint': ['imagePullSecrets'],
  'what holds the reference above': ['volumes[].image'],
  'a block device of Ceph, no image of a registry': ['volumes[].rbd.image'],
};

describe('the webhook, registered with a real API server', () => {
  it('knows every field of a pod that has to do with images', async () => {
    const found = imageFields(await stack.controlPlane.api.get('/openapi/v3/api/v1'));
    expect(found).toEqual(Object.values(IMAGE_FIELDS).flat().sort());
  });

  it('finds an image in each of them', () => {
    const item = (kind: string) => ({ name: kind, image: kind === 'volumes' ? { reference: 'a/b:1' } : 'a/b:1' });
    const spec = Object.fromEntries(ALL_KINDS.map((kind) => [kind, [item(kind)]]));
    const paths = imageSlots(spec, ALL_KINDS).map(({ path }) => path.replace('/spec/', '').replace('/0/', '[].'));
    expect(paths.map((path) => path.replaceAll('/', '.')).sort()).toEqual(IMAGE_FIELDS.rewritten);
  });

  it('answers why: by name, by a name that was made, and by request; elsewhere it says where to look', async () => {
    const why = async (query: string) => {
      const answer = await fetch(`http://127.0.0.1:${bed.apps[0]!.healthPort}/why?${query}`);
      return { status: answer.status, body: (await answer.json()) as { admissions?: { requestId: string }[] } };
    };
    const pod = await stack.controlPlane.api.create<Pod>(
      PODS,
      onePod('', { metadata: { name: undefined, generateName: 'made-' } }),
    );
    const requestId = pod.metadata.annotations?.['kuik.enix.io/request-id'];
    const byName = await until(
      async () => {
        const answer = await why(`namespace=default&pod=${pod.metadata.name}`);
        return answer.status === 200 && answer;
      },
      { what: 'the admission to be remembered' },
    );
    const image = { key: 'c:app', asked: 'registry.example.test/shop:1.0', reason: 'Rewritten', rule: 'default' };
    expect(byName.body.admissions).toMatchObject([{ requestId, dryRun: false, images: [image] }]);
    expect((await why(`request=${requestId}`)).body.admissions).toMatchObject([{ requestId }]);
    expect(JSON.parse(pod.metadata.annotations?.['kuik.enix.io/decisions'] ?? '')).toEqual({
      'c:app': 'Rewritten default',
    });
    expect((await why('namespace=default&pod=none')).status).toBe(404);
    expect((await why('namespace=default&image=localhost:5000/x:1')).body).toMatchObject({ reason: 'LocalRegistry' });
  });

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
    const metrics = async () => (await fetch(`http://127.0.0.1:${bed.apps[0]!.healthPort}/metrics`)).text();
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
    await create('observed');
    expect((await hintFor('observed')).images).toEqual(['registry.example.test/shop:1.0']);
    expect(await metrics()).toMatch(
      /images_total\{verdict="observe",reason="Observed",rule="namespaces.default.mode"\} [1-9]/,
    );
    await rules('');
    await imageIs('pods to be rewritten again', /^localhost:7439/);
  });

  it('shares one authority between its replicas, and puts a lost caBundle back', async () => {
    const secret = await stack.controlPlane.api.get<KubeObject & { data: Record<string, string> }>(SECRET);
    const configuration = () => bed.configuration();
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
    await bed.register(bed.apps[1]!.admissionPort);
    await until(async () => (await dryRun('other')).spec.containers[0]?.image.startsWith('localhost:7439/'), {
      what: 'the other replica to answer with the same authority',
    });
  });

  it('makes new certificates when the Secret is deleted, and is trusted again', async () => {
    await stack.controlPlane.api.delete(SECRET);
    await until(async () => (await stack.controlPlane.api.find(SECRET)) !== undefined, { what: 'a new Secret' });
    const secret = await stack.controlPlane.api.get<KubeObject & { data: Record<string, string> }>(SECRET);
    await until(async () => (await bed.configuration()).webhooks[0]?.clientConfig.caBundle === secret.data['ca.crt'], {
      what: 'the new caBundle',
    });
    await until(async () => (await dryRun('renewed')).spec.containers[0]?.image.startsWith('localhost:7439/'), {
      what: 'the API server to trust the new authority',
    });
  });

  it('is ready, and tells what it did', async () => {
    const page = async (app: WebhookApp, route: string) => fetch(`http://127.0.0.1:${app.healthPort}${route}`);
    const ready = await Promise.all(bed.apps.map(async (app) => (await page(app, '/readyz')).status));
    expect(ready).toEqual([200, 200]);
    const text = (await Promise.all(bed.apps.map(async (app) => (await page(app, '/metrics')).text()))).join('\n');
    expect(text).toMatch(/kuik_webhook_admissions_total\{operation="CREATE",result="patched"\} [1-9]/);
    expect(text).toMatch(/kuik_webhook_images_total\{verdict="keep",reason="LocalRegistry",rule="localhost"\} 1/);
  });

  it('admits while NATS is down, and is ready', async () => {
    await stack.nats.kill();
    const pod = await create('no-nats');
    expect(pod.spec.containers[0]?.image).toMatch(/^localhost:7439\//);
    await stack.nats.restart();
  });

  it('is not in the way when it is down: pods are admitted unchanged', async () => {
    for (const app of bed.apps) await app.close();
    const pod = await create('alone');
    expect(pod.spec.containers[0]?.image).toBe('registry.example.test/shop:1.0');
    expect(pod.metadata.labels).toBeUndefined();
  });
});
