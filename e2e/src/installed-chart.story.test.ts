import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { PODS } from '@kuik/kube';
import { until, whyNotHere } from '@kuik/testbed';
import { clusterWorld, createPod, type ClusterPod, type ClusterWorld } from './cluster/cluster-world.ts';
import { CLUSTER_STORY } from './cluster/story.ts';
import { CHART } from './stack/chart-objects.ts';
import { installChart, type InstalledChart } from './installed/installed-chart.ts';
import { HOST } from './story/world.ts';

// A node takes Linux, root and cgroups. What else may be missing is no reason to skip: it is obtained before.
const onNode = whyNotHere().length === 0 ? describe : describe.skip;

let chart: InstalledChart;
let world: ClusterWorld;
beforeAll(async () => {
  if (whyNotHere().length > 0) return;
  chart = await installChart();
  const { kube, proxyPrefix, image } = chart;
  world = clusterWorld(kube, {
    image: image.reference,
    proxyPrefix,
    command: ['/program', 'and end'],
    patienceMs: 90_000,
  });
}, 180_000);
afterAll(() => chart?.stop());

/** Whatever a release may leave something of. */
const KINDS = [
  ...['namespaces', 'pods', 'services', 'secrets', 'configmaps', 'serviceaccounts', 'persistentvolumeclaims'].map(
    (kind) => `/api/v1/${kind}`,
  ),
  ...['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'].map(
    (kind) => `/apis/rbac.authorization.k8s.io/v1/${kind}`,
  ),
  ...['mutatingwebhookconfigurations', 'mutatingadmissionpolicies', 'mutatingadmissionpolicybindings'].map(
    (kind) => `/apis/admissionregistration.k8s.io/v1/${kind}`,
  ),
  '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
  '/apis/coordination.k8s.io/v1/leases',
  '/apis/networking.k8s.io/v1/networkpolicies',
  '/apis/batch/v1/jobs',
];

type Owned = { metadata: { name: string; namespace?: string } };
type Workload = {
  metadata: { name: string };
  spec?: { replicas?: number };
  status?: { readyReplicas?: number; numberReady?: number; desiredNumberScheduled?: number };
};

/** Names of workloads of ours whose pods are not all ready. */
async function notReady(): Promise<string[]> {
  const lists = await Promise.all(
    ['deployments', 'statefulsets', 'daemonsets'].map((kind) =>
      chart.controlPlane.api.list<Workload>(`/apis/apps/v1/${kind}`),
    ),
  );
  return lists.flat().flatMap(({ metadata, spec, status }) => {
    const [wanted, ready] =
      spec?.replicas === undefined
        ? [status?.desiredNumberScheduled ?? 1, status?.numberReady ?? 0]
        : [spec.replicas, status?.readyReplicas ?? 0];
    return ready >= wanted && wanted > 0 ? [] : [metadata.name];
  });
}

/** The image that a pod ran, when it has ended well. */
async function ranBy(name: string): Promise<string> {
  return until(
    async () => {
      const { status } = await chart.kube.get<ClusterPod>(PODS, { name, namespace: world.namespace });
      if (status?.phase !== 'Succeeded')
        throw new Error(JSON.stringify(status?.containerStatuses?.[0]?.state ?? status));
      return status.containerStatuses![0]!.imageID;
    },
    { what: `pod ${name} to end`, timeoutMs: 60_000, everyMs: 250 },
  );
}

onNode('the chart, installed by helm on a cluster of one real node', () => {
  it('has every pod ready, keys and all', async () => {
    await until(
      async () => {
        const names = await notReady();
        if (names.length > 0) throw new Error(`not ready: ${names.join(', ')}`);
        return true;
      },
      { what: 'all workloads', timeoutMs: 150_000, everyMs: 500 },
    );
  }, 160_000);

  it.each(CLUSTER_STORY.map((step) => [step.title, step] as const))(
    '%s',
    async (_title, step) => {
      const { good, broken } = await step.prove(world);
      expect(good).toEqual([]);
      for (const { name, problems } of broken)
        expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
    },
    120_000,
  );

  it('starts pods by tag and by digest when upstream is dead and the node has lost the image', async () => {
    const { node, faults, image } = chart;
    await faults.host(HOST).down();
    const names = (await node.images()).filter((name) => name.includes(`/${HOST}/`));
    expect(names.length).toBeGreaterThan(0);
    await node.ctr('images', 'remove', '--sync', ...names);
    const { digest } = image.pushed;
    await createPod(world, 'again', image.reference);
    await createPod(world, 'again-pinned', image.reference.replace(/:1$/, `@${digest}`));
    for (const name of ['again', 'again-pinned']) expect(await ranBy(name)).toContain(digest);
  }, 120_000);

  it('is upgraded: its keys first, then what changed restarts, and nothing else', async () => {
    const pods = async () =>
      (await chart.controlPlane.api.list<Owned>('/api/v1/pods')).filter(({ metadata }) =>
        metadata.namespace!.startsWith('kuik-'),
      );
    const ofService = (names: readonly Owned[]) =>
      names.map(({ metadata }) => metadata.name).filter((name) => !/^kuik-(?:keys|pod-watcher)-/.test(name));
    const before = await pods();
    await chart.helm('upgrade', 'kuik', CHART, '--reuse-values', '--set', 'expiry.unused=10d', '--wait');
    expect(ofService(await pods()).sort()).toEqual(ofService(before).sort());
    const watchers = (of: readonly Owned[]) =>
      of.map(({ metadata }) => metadata.name).filter((name) => name.startsWith('kuik-pod-watcher-'));
    await until(async () => watchers(await pods()).every((name) => !watchers(before).includes(name)), {
      what: 'the old pods to be gone',
      timeoutMs: 40_000,
    });
    expect(watchers(await pods()).length).toBe(watchers(before).length);
    const pod = await createPod(world, 'upgraded', chart.image.reference);
    expect(pod.spec.containers[0]!.image).toBe(`${world.proxyPrefix}/${chart.image.reference}`);
  }, 170_000);

  it('leaves pods alone when it is uninstalled', async () => {
    await chart.helm('uninstall', 'kuik', '--wait');
    const { api } = chart.controlPlane;
    expect(await api.list('/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations')).toEqual([]);
    expect(await api.find('/api/v1/namespaces/kuik-proxy')).toBeUndefined();
    const pod = await createPod(world, 'after', chart.image.reference);
    expect(pod.spec.containers[0]!.image).toBe(chart.image.reference);
  }, 120_000);

  it('is gone without a trace when the rest is done that docs/install.md tells ("Leaving")', async () => {
    const { api } = chart.controlPlane;
    for (const kind of ['cachedimages', 'repositories']) {
      const path = `/apis/kuik.enix.io/v1alpha1/${kind}`;
      for (const { metadata } of await api.list<Owned>(path)) {
        const finalizers = { metadata: { finalizers: null } };
        await api.request('PATCH', `${path}/${metadata.name}`, finalizers, {
          contentType: 'application/merge-patch+json',
        });
        await api.delete(`${path}/${metadata.name}`);
      }
      await api.delete(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${kind}.kuik.enix.io`);
    }
    const beside = 'app.kubernetes.io/managed-by=kuik-pod-watcher';
    for (const { metadata } of await api.list<Owned>(`/api/v1/secrets?labelSelector=${beside}`))
      await api.delete(`/api/v1/namespaces/${metadata.namespace}/secrets/${metadata.name}`);
    await api.delete('/api/v1/namespaces/kuik-system');
    const left = async () => {
      const lists = await Promise.all(KINDS.map((path) => api.list<Owned>(path)));
      const names = lists.flat().map(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}`);
      return names.filter((name) => name.includes('kuik') && !name.includes(world.namespace));
    };
    await until(async () => (await left()).length === 0 || Promise.reject(new Error((await left()).join(', '))), {
      what: 'nothing of it to be left',
      timeoutMs: 60_000,
      everyMs: 250,
    });
  }, 90_000);
});
