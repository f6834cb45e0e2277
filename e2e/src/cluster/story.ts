import { MUTATING_WEBHOOK_CONFIGURATIONS, PODS, type KubeObject } from '@kuik/kube';
import { until } from '@kuik/testbed';
import { bytes, short } from '../checklist.ts';
import { expectEqual, expectTrue, step, type AnyStep } from '../story/step.ts';
import { createPod, enter, readyImage, tryPod, type ClusterPod, type ClusterWorld } from './cluster-world.ts';

const GIVEN = `sha256:${'0'.repeat(64)}`;

interface Registration extends KubeObject {
  webhooks: { failurePolicy: string; clientConfig: { caBundle?: string } }[];
}

interface Installed {
  /** The image of a pod that was only tried: what the API server makes of it once it calls the webhook. */
  expected: string;
  got: string;
  asked: string;
  webhooks: { failurePolicy: string; hasCa: boolean }[];
}

const installed = step<ClusterWorld, Installed>({
  id: 'installed',
  title: 'kube-image-keeper is installed: its webhook has made its CA, and the API server calls it',
  logs: [],
  async act(world, progress) {
    const { kube, patienceMs, image, namespace } = world;
    progress('the webhook to write its CA into its registration');
    const webhooks = await until(
      async () => {
        const registration = await kube.get<Registration>(MUTATING_WEBHOOK_CONFIGURATIONS, { name: 'kuik-webhook' });
        const seen = registration.webhooks.map(({ failurePolicy, clientConfig }) => ({
          failurePolicy,
          hasCa: (clientConfig.caBundle ?? '') !== '',
        }));
        return seen.every(({ hasCa }) => hasCa) && seen;
      },
      { timeoutMs: patienceMs, everyMs: 500, what: 'caBundle of MutatingWebhookConfiguration kuik-webhook' },
    );
    progress(`namespace ${namespace}`);
    await enter(world);
    // The API server reads the registration a moment after it was written; until then it admits pods unchanged.
    progress('the API server to call the webhook');
    const expected = `${world.proxyPrefix}/${image}`;
    const got = await until(
      async () => {
        const { spec } = await tryPod(world, 'probe', image);
        if (spec.containers[0]!.image === expected) return expected;
        throw new Error(`a pod would be admitted with image ${spec.containers[0]!.image}`);
      },
      { timeoutMs: patienceMs, everyMs: 250, what: `the API server to send pods of ${namespace} to the webhook` },
    );
    return { webhooks, expected, got, asked: image };
  },
  check: ({ webhooks, expected, got }) => [
    ...expectEqual('image of a pod that was only tried', expected, got),
    ...expectEqual('webhooks registered', 1, webhooks.length),
    ...webhooks.flatMap(({ failurePolicy, hasCa }) => [
      ...expectEqual('failurePolicy', 'Ignore', failurePolicy),
      ...expectEqual('caBundle written', true, hasCa),
    ]),
  ],
  tell: () => [],
  breakages: [
    { name: 'no webhook', bend: (o) => ({ ...o, webhooks: [] }) },
    { name: 'no CA', bend: (o) => ({ ...o, webhooks: [{ failurePolicy: 'Ignore', hasCa: false }] }) },
    { name: 'a webhook that is not called', bend: (o) => ({ ...o, got: o.asked }) },
  ],
});

interface Admitted {
  ms: number;
  expected: string;
  got: string;
  original: string | undefined;
  asked: string;
}

const admitted = step<ClusterWorld, Admitted>({
  id: 'admitted',
  title: 'a pod was created; its image goes through the proxy',
  logs: [],
  async act(world) {
    const since = performance.now();
    const pod = await createPod(world, 'hello', world.image);
    const annotation = pod.metadata.annotations?.['kuik.enix.io/original-images'] ?? '{}';
    return {
      ms: performance.now() - since,
      asked: world.image,
      expected: `${world.proxyPrefix}/${world.image}`,
      got: pod.spec.containers[0]!.image,
      original: (JSON.parse(annotation) as Record<string, string>)['c:main'],
    };
  },
  check: ({ expected, got, asked, original }) => [
    ...expectEqual('image of the pod', expected, got),
    ...expectEqual('original image kept', asked, original),
  ],
  tell: ({ ms, got }) => [`admitted in ${Math.round(ms)} ms: ${got}`],
  breakages: [
    { name: 'an image left unchanged', bend: (o) => ({ ...o, got: o.asked }) },
    { name: 'no annotation', bend: (o) => ({ ...o, original: undefined }) },
  ],
});

interface Cached {
  ms: number;
  digest: string | undefined;
  bytes: number;
  /** What a second pod, pinned to that digest, led to. */
  pinned: string | undefined;
}

const cached = step<ClusterWorld, Cached>({
  id: 'cached',
  title: 'its image is cached; pinned to the digest it is the same image',
  logs: [],
  async act(world, progress) {
    const since = performance.now();
    progress(`CachedImage of ${world.image} to be Ready`);
    const { status } = await readyImage(world, world.image);
    const ms = performance.now() - since;
    const digest = status?.cache?.digest;
    const byDigest = `${world.image.slice(0, world.image.lastIndexOf(':'))}@${digest ?? GIVEN}`;
    await createPod(world, 'pinned', byDigest);
    progress(`CachedImage of ${byDigest} to be Ready`);
    const pinned = await readyImage(world, byDigest);
    return { ms, digest, bytes: status?.cache?.bytes ?? 0, pinned: pinned.status?.cache?.digest };
  },
  check: ({ digest, bytes: size, pinned }) => [
    ...expectTrue('digest', /^sha256:[0-9a-f]{64}$/.test(digest ?? ''), 'a sha256 digest', digest ?? 'none'),
    ...expectTrue('size', size > 0, 'more than nothing', String(size)),
    ...expectEqual('digest of the pinned image', digest, pinned),
  ],
  tell: ({ ms, digest, bytes: size }) => [`${short(digest)} ${bytes(size)} in ${(ms / 1000).toFixed(1)} s`],
  breakages: [
    { name: 'no digest', bend: (o) => ({ ...o, digest: undefined }) },
    { name: 'another digest when pinned', bend: (o) => ({ ...o, pinned: GIVEN }) },
    { name: 'nothing stored', bend: (o) => ({ ...o, bytes: 0 }) },
  ],
});

interface Started {
  pods: { name: string; phase: string; imageID: string }[];
  digest: string | undefined;
}

const started = step<ClusterWorld, Started>({
  id: 'started',
  title: 'both pods ran what the cache holds, pulled through the proxy of their node',
  logs: [],
  async act(world, progress) {
    const { kube, namespace, patienceMs } = world;
    const pods = [];
    for (const name of ['hello', 'pinned']) {
      progress(`kubelet to run pod ${namespace}/${name}`);
      const { status } = await until(
        async () => {
          const pod = await kube.get<ClusterPod>(PODS, { name, namespace });
          if (['Succeeded', 'Failed'].includes(pod.status?.phase ?? '')) return pod;
          throw new Error(
            `${pod.status?.phase ?? 'no phase'} ${JSON.stringify(pod.status?.containerStatuses?.[0]?.state)}`,
          );
        },
        { timeoutMs: patienceMs, everyMs: 500, what: `pod ${namespace}/${name} to end` },
      );
      pods.push({ name, phase: status!.phase!, imageID: status?.containerStatuses?.[0]?.imageID ?? '' });
    }
    return { pods, digest: (await readyImage(world, world.image)).status?.cache?.digest };
  },
  check: ({ pods, digest }) => [
    ...expectEqual('pods', 2, pods.length),
    ...pods.flatMap(({ name, phase, imageID }) => [
      ...expectEqual(`phase of pod ${name}`, 'Succeeded', phase),
      ...expectTrue(`image that pod ${name} ran`, imageID.endsWith(`@${digest}`), `@${digest}`, imageID),
    ]),
  ],
  tell: ({ pods }) => pods.map(({ name, imageID }) => `${name.padEnd(8)} ${imageID}`),
  breakages: [
    { name: 'a pod that failed', bend: (o) => ({ ...o, pods: o.pods.map((pod) => ({ ...pod, phase: 'Failed' })) }) },
    { name: 'another image', bend: (o) => ({ ...o, digest: GIVEN }) },
    { name: 'a pod that is missing', bend: (o) => ({ ...o, pods: o.pods.slice(1) }) },
  ],
});

/** What can be seen of the main job on any cluster with nothing but KUBECONFIG. */
export const CLUSTER_STORY: readonly AnyStep<ClusterWorld>[] = [installed, admitted, cached, started];
