import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ADMITTED_BY_ANNOTATION, SPARED_OWNERS } from '@kuik/contracts';
import { until, type KubeObject, type ServiceProcess } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { Operator } from './fight/operator.ts';
import { readMetric } from './stack/metric.ts';
import { leaseLocalParts, type LocalParts } from './stack/local-parts.ts';
import { startReplicas } from './stack/start-replicas.ts';
import { cachedImages } from './story/cached-images.ts';
import { imagesOf, pod, type Pod } from './story/pods.ts';
import { HOST } from './story/world.ts';

/** How long the operator takes between two looks at its pod. */
const EVERY_MS = 150;
const IMAGE = `${HOST}/fight/db:1`;
/** Who admits, and how many pods the operator may lose: an edited policy takes up to two seconds to be in force. */
const ADMISSIONS = [
  { admission: 'webhook', most: 3 },
  ...sized({ usual: [], full: [{ admission: 'policy', most: 3 + Math.ceil(2_000 / EVERY_MS) }] }),
];
const SPARED = `/api/v1/namespaces/kuik-system/configmaps/${SPARED_OWNERS}`;

let admittedBy: string;
let parts: LocalParts & { stop(): Promise<void> };
let webhooks: ServiceProcess[] = [];
let watchers: ServiceProcess[] = [];
let operator: Operator;

async function start(admission: string): Promise<void> {
  admittedBy = admission;
  parts = await leaseLocalParts({
    environment: { KUIK_ADMISSION: admission, KUIK_POLICY_CHECK: '500ms', KUIK_PATIENCE: '1s' },
  });
  // From the start: until a first policy is in force pods look as if they were only observed.
  writeFileSync(parts.facts.rulesFile, 'mode: observe');
  [webhooks, watchers] = await Promise.all([startReplicas('webhook', parts), startReplicas('pod-watcher', parts)]);
  operator = await Operator.of(parts.controlPlane.api, 'db', IMAGE);
}

async function stop(): Promise<void> {
  await operator?.stop();
  await Promise.all([...webhooks, ...watchers].map((service) => service.stop()));
  await parts?.stop();
}

const wait = <T>(what: string, check: () => Promise<T | undefined | false>) =>
  until<T>(check, { what, timeoutMs: 15_000 });

/** What becomes of a pod that nobody makes: whether it is rewritten, by the one who is to admit pods here. */
async function rewritten(name: string, metadata: object = {}): Promise<boolean> {
  const wanted = pod(name, [{ name: 'db', image: IMAGE }]);
  const object = { ...wanted, metadata: { ...wanted.metadata, ...metadata } };
  const made = await parts.controlPlane.api.create<Pod>('/api/v1/namespaces/default/pods?dryRun=All', object);
  if (imagesOf(made)[0]!.image === IMAGE) return false;
  return (made.metadata.annotations?.[ADMITTED_BY_ANNOTATION] === 'policy') === (admittedBy === 'policy');
}

/** A person deletes the operator's pod; resolves when another one has come to stay. How often the operator deleted it until then. */
async function lose(): Promise<number> {
  const before = operator.deletions;
  await operator.deletePod();
  let steady = 0;
  await wait('the pod to stay', async () => {
    steady = (await operator.image()) === IMAGE ? steady + 1 : 0;
    return steady > 5;
  });
  return operator.deletions - before;
}

type Told = KubeObject & { reason: string; note: string; regarding: Record<string, string> };
async function event(): Promise<Told> {
  const events = '/apis/events.k8s.io/v1/namespaces/default/events';
  return wait<Told>('the event on the owner', async () =>
    (await parts.controlPlane.api.list<Told>(events)).find(({ reason }) => reason === 'RewriteStopped'),
  );
}

describe.each(ADMISSIONS)('admitted by $admission', ({ admission, most }) => {
  beforeAll(() => start(admission), 60_000);
  afterAll(stop);

  it('an operator that deletes pods with another image than its own is left in peace: watched, after three pods, after restarts, and until a person says otherwise', async () => {
    const { api } = parts.controlPlane;
    const spared = async () => Object.keys((await api.find<KubeObject & { data?: object }>(SPARED))?.data ?? {});

    expect(await rewritten('probe')).toBe(false);
    operator.start(EVERY_MS);
    await wait('its image to be known', async () => (await cachedImages(api)).has(IMAGE));
    expect(await lose()).toBe(0);

    writeFileSync(parts.facts.rulesFile, 'mode: rewrite');
    await wait('pods to be rewritten', () => rewritten('probe'));
    const recreations = await lose();
    console.log(`${recreations} pods were made anew before the operator was spared`);
    expect(recreations).toBeGreaterThan(1);
    expect(recreations).toBeLessThanOrEqual(most);
    expect(await spared()).toEqual([operator.uid]);
    const told = await event();
    expect(told.regarding).toMatchObject({ kind: 'ConfigMap', namespace: 'default', name: 'db', uid: operator.uid });
    expect(told.note).toContain(`sparedOwners.${operator.uid}`);
    await wait('the gauge', async () => (await readMetric(watchers[0]!.metricsUrl, 'kuik_spared_owners')) === 1);
    const image = (await cachedImages(api)).get(IMAGE);
    expect(image?.metadata.deletionTimestamp).toBeUndefined();
    await wait(
      'its pod to hold its image',
      async () => (await cachedImages(api)).get(IMAGE)?.status?.usedBy?.count === 1,
    );
    expect(await rewritten('another')).toBe(true);

    await Promise.all([...webhooks, ...watchers].map((service) => service.restart()));
    await wait('the webhook', () => rewritten('another'));
    expect(await lose()).toBe(0);

    // As kubectl does, by the command in the event.
    const patch = /--type=json -p='(.*?)'/.exec(told.note)![1]!;
    await api.request('PATCH', SPARED, patch, { contentType: 'application/json-patch+json' });
    const owned = { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'db', uid: operator.uid }] };
    await wait('its pods to be rewritten again', () => rewritten('db-2', owned));
    const again = await lose();
    expect(again).toBeGreaterThan(1);
    expect(again).toBeLessThanOrEqual(most);
    expect(await spared()).toEqual([operator.uid]);
  });
});
