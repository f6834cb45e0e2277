import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  ADMITTED_BY_ANNOTATION,
  DECISIONS_ANNOTATION,
  ORIGINAL_IMAGES_ANNOTATION,
  REQUEST_ID_ANNOTATION,
} from '@kuik/contracts';
import { ALL_KINDS, compilePolicy, Decider, imageSlots, podFacts, rulesFile, type WrittenRules } from '@kuik/rules';
import { RULE_CASES } from '@kuik/rules/testing';
import { leaseTestbed, until, type KubeObject, type Stack } from '@kuik/testbed';
import { admit } from './admit.ts';
import { applyPatch, requestOf } from './fixtures.ts';
import { ODD_IMAGES } from './odd-images.ts';

type Fields = Record<string, unknown>;
type Pod = KubeObject & { spec: Fields };

interface Spec {
  failurePolicy: string;
  matchConstraints: { objectSelector: { matchExpressions: Fields[] } };
}

/** A pod and the rules that it is created under. */
interface Trial {
  readonly what: string;
  readonly written: WrittenRules;
  readonly namespace: string;
  readonly metadata?: Fields;
  readonly spec: Fields;
  readonly namespaceLabels?: Readonly<Record<string, string>>;
  /** Uids of owners whose pods are not rewritten. */
  readonly sparedOwners?: readonly string[] | undefined;
  /** There is room for the decisions; default true. */
  readonly room?: boolean;
  /** The namespace's labels are not those of the rules. */
  readonly notSelected?: boolean;
}

const OPTIONS = {
  ownNamespaces: ['kube-system', 'kuik-system', 'kuik-system-proxy'],
  proxyPrefixes: ['localhost:7439', 'localhost:4242'],
  pullSecrets: true,
};
/** A service account with a pull secret of its own. */
const ROBOT = { serviceAccountName: 'robot' };
/** Label that says which policy is for a pod. */
const CASE = 'case';
const NOBODY = 'none';
const LOOSE: WrittenRules = { ignorePullPolicyAlways: false };
const ORIGINALS = ORIGINAL_IMAGES_ANNOTATION;
const oneContainer = (image: string): Fields => ({ containers: [{ name: 'app', image }] });

const shared = RULE_CASES.map(({ what, rules, pod, namespaceLabels, sparedOwners, images }, index): Trial => {
  const { namespace, labels, annotations, ownerReferences } = pod.metadata;
  const metadata = { labels, annotations, ownerReferences };
  const trial = { what, written: rules, metadata, spec: pod.spec, sparedOwners };
  if (namespaceLabels === undefined) return { ...trial, namespace };
  const notSelected = Object.values(images).every(({ reason }) => reason === 'NotSelected');
  return { ...trial, namespace: `labelled-${index}`, namespaceLabels, notSelected };
});

const own = (what: string, written: WrittenRules, spec: Fields, metadata: Fields = {}): Trial => ({
  what,
  written,
  namespace: 'default',
  metadata,
  spec,
});
const marked = (what: string, image: string, metadata: Fields): Trial =>
  own(what, LOOSE, oneContainer(image), metadata);
const padding = (bytes: number): Fields => ({ annotations: { padding: 'é'.repeat(bytes / 2) } });

const owned = (count: number): Fields => ({
  ownerReferences: Array.from({ length: count }, (_, at) => ({
    apiVersion: 'v1',
    kind: 'Job',
    name: 'a',
    uid: `u-${at}`,
  })),
});

const TRIALS: readonly Trial[] = [
  ...shared,
  { ...own('an owner, and an empty list', LOOSE, oneContainer('nginx:1'), owned(1)), sparedOwners: [] },
  {
    ...own('of many owners the last, and a list as full as it gets', LOOSE, oneContainer('nginx:1'), owned(20)),
    sparedOwners: ['u-19', ...Array.from({ length: 500 }, () => randomUUID())],
  },
  own('every odd image that came to mind, in one pod', LOOSE, {
    containers: ODD_IMAGES.map((image, index) => ({ name: `c${index}`, image })),
  }),
  own(
    'many patterns, in several expressions',
    {
      ...LOOSE,
      ignoreImages: [
        ...Array.from({ length: 100 }, (_, at) => `^registry-${at}\\.example\\.(?:com|org)/team-[a-z]+/.*$`),
        'say "\\.',
        '^ghcr',
      ],
      acceptImages: ['é', '\\.'],
    },
    {
      containers: ['ghcr.io/a:1', 'registry-99.example.org/team-x/a:1', 'registry-100.example.org/team-x/a:1'].map(
        (image, index) => ({ name: `c${index}`, image }),
      ),
    },
  ),
  marked('what was written is kept when the pod is admitted again', 'localhost:7439/a.b/c:1', {
    annotations: { [ORIGINALS]: '{"c:app":"a.b/c:1","c:gone":"x"}' },
  }),
  marked('an annotation that is none of ours', 'localhost:7439/a.b/c:1', { annotations: { [ORIGINALS]: 'no json' } }),
  marked('a label that says otherwise', 'localhost:7439/a.b/c:1', { labels: { 'kuik.enix.io/managed': 'false' } }),
  marked('marks that are right already', 'nginx:1', {
    labels: { 'kuik.enix.io/managed': 'true' },
    annotations: { [ORIGINALS]: '{"c:app":"nginx:1"}' },
  }),
  { ...marked('no room left for annotations', 'nginx:1', padding(262_100)), room: false },
  { ...marked('room left for what was written only', 'nginx:1', padding(262_020)), room: false },
  marked('room left for annotations', 'nginx:1', padding(261_900)),
  own('the pull secret beside those of the pod', LOOSE, {
    ...oneContainer('nginx:1'),
    imagePullSecrets: [{ name: 'a' }],
  }),
  own('the pull secret beside that of the service account', LOOSE, { ...oneContainer('nginx:1'), ...ROBOT }),
  own('a pull secret that is there already', LOOSE, {
    ...oneContainer('nginx:1'),
    ...ROBOT,
    imagePullSecrets: [{ name: 'kuik-pull-robot' }, { name: 'b' }],
  }),
  own('no pull secret for what is pulled by itself', LOOSE, { ...oneContainer('localhost:5000/a:1'), ...ROBOT }),
];

let stack: Stack<'controlPlane'>;
let outcomes: readonly { readonly plain: Pod; readonly byPolicy: Pod }[];
type Ruled = Pick<Trial, 'written' | 'sparedOwners'>;
const setKey = ({ written, sparedOwners }: Ruled): string => JSON.stringify({ written, sparedOwners });
const sets = [...new Set(TRIALS.map(setKey))];
const setOf = (ruled: Ruled): number => sets.indexOf(setKey(ruled));
const podsOf = (namespace: string): string => `/api/v1/namespaces/${namespace}/pods`;

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane'] });
  const { api } = stack.controlPlane;
  const namespaces = new Map(TRIALS.map(({ namespace, namespaceLabels = {} }) => [namespace, namespaceLabels]));
  await Promise.all([...namespaces].map(([name, labels]) => stack.controlPlane.namespace(name, labels)));
  const robot = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot', namespace: 'default' } };
  await api.apply({ ...robot, imagePullSecrets: [{ name: 'of-robot' }] });
  const policies = sets.map((set, at) => policyOf(`${at}`, JSON.parse(set) as Ruled));
  await Promise.all(policies.flat().map((object) => api.apply(object)));
  // The API server takes a moment to go by new policies; it sees them in the order in which they were written.
  for (const object of policyOf('last', { written: LOOSE })) await api.apply(object);
  const last = own('', LOOSE, oneContainer('nginx:1'));
  await until(async () => ADMITTED_BY_ANNOTATION in ((await create(last, 'last')).metadata.annotations ?? {}), {
    what: 'the policies to be in force',
    timeoutMs: 30_000,
  });
  const plain = new Map<string, Promise<Pod>>();
  outcomes = await Promise.all(
    TRIALS.map(async (trial) => {
      const key = JSON.stringify(podOf(trial, NOBODY, 'pod'));
      if (!plain.has(key)) plain.set(key, create(trial, NOBODY));
      return { plain: await plain.get(key)!, byPolicy: await create(trial, `${setOf(trial)}`) };
    }),
  );
}, 120_000);

afterAll(() => stack?.stop());

/** The policy of one set of rules, for pods with this label: all sets are in force side by side. */
function policyOf(label: string, { written, sparedOwners }: Ruled): KubeObject[] {
  const { policy, binding } = compilePolicy(rulesFile.parse(written), OPTIONS, sparedOwners);
  const spec = structuredClone(policy.spec) as Spec;
  // So that an expression that fails is seen.
  spec.failurePolicy = 'Fail';
  spec.matchConstraints.objectSelector.matchExpressions.push({ key: CASE, operator: 'In', values: [label] });
  const name = `case-${label}`;
  const named = (of: object, fields: object) => ({ ...of, metadata: { name }, spec: fields }) as unknown as KubeObject;
  return [named(policy, spec), named(binding, { policyName: name })];
}

/** Ephemeral containers come later, by the subresource; a mirror is of a node. */
function podOf({ namespace, metadata = {}, spec }: Trial, label: string, name: string): Fields {
  const { annotations = {}, labels, ownerReferences } = metadata as Record<string, Fields | undefined>;
  const nodeName = 'kubernetes.io/config.mirror' in annotations ? { nodeName: 'node-1' } : {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, annotations, labels: { ...labels, [CASE]: label }, ownerReferences },
    spec: { ...spec, ...nodeName, ephemeralContainers: undefined },
  };
}

interface Creation {
  readonly name?: string;
  readonly stored?: boolean;
}

/** Creates a pod that the policy of this label admits; `NOBODY`: as the webhook would be sent it. */
function create(trial: Trial, label: string, { name = 'pod', stored = false }: Creation = {}): Promise<Pod> {
  const query = stored ? '' : '?dryRun=All';
  return stack.controlPlane.api.create<Pod>(`${podsOf(trial.namespace)}${query}`, podOf(trial, label, name));
}

/** What is compared: images by their place, labels and annotations without what only one of the two can write. */
function seen({ metadata, spec }: { metadata: Fields; spec: Fields }): unknown {
  const { annotations = {} } = metadata as { annotations?: Record<string, string> };
  const { [CASE]: _case, ...labels } = metadata['labels'] as Record<string, string>;
  const others = { ...annotations };
  for (const key of [REQUEST_ID_ANNOTATION, ADMITTED_BY_ANNOTATION, DECISIONS_ANNOTATION, 'padding'])
    delete others[key];
  const images = imageSlots(spec, ALL_KINDS).map(({ key, image }) => [key, image]);
  const pullSecrets = spec['imagePullSecrets'];
  return { images: Object.fromEntries(images) as unknown, labels, annotations: others, pullSecrets };
}

const deciderOf = ({ written }: Trial): Decider => new Decider(rulesFile.parse(written), OPTIONS);
const isSparedIn =
  ({ sparedOwners = [] }: Trial) =>
  (uid: string): boolean =>
    sparedOwners.includes(uid);
const reviewOf = (plain: Pod, { namespace }: Trial, change: Parameters<typeof requestOf>[1] = {}) =>
  requestOf(plain, { namespace, ...change });

function byWebhook(plain: Pod, trial: Trial, change: Parameters<typeof requestOf>[1] = {}): Pod {
  const { patch } = admit(reviewOf(plain, trial, change), deciderOf(trial), isSparedIn(trial));
  return applyPatch(plain, patch) as unknown as Pod;
}

/** Reason and rule of every image of a pod that is not left alone. */
function decisionsOf(plain: Pod, trial: Trial): unknown {
  const { images } = admit(reviewOf(plain, trial), deciderOf(trial), isSparedIn(trial));
  const { pod } = deciderOf(trial).decide(podFacts(trial.namespace, plain.metadata, plain.spec), []);
  if (pod?.verdict === 'keep' || trial.notSelected === true || trial.room === false) return undefined;
  return Object.fromEntries(images.map(({ key, reason, rule }) => [key, `${reason} ${rule}`]));
}

describe('the policy that the rules are compiled to, in a real API server', () => {
  it.each(TRIALS.map((trial, at) => [trial.what, trial, at] as const))(
    'does with a pod what the webhook does: %s',
    (_, trial, at) => {
      const { plain, byPolicy } = outcomes[at]!;
      // Labels of namespaces are the API server's to look at: it would not have asked the webhook.
      const expected = trial.notSelected === true ? plain : byWebhook(plain, trial);
      expect(seen(byPolicy)).toEqual(seen(expected));
      const decisions = byPolicy.metadata.annotations?.[DECISIONS_ANNOTATION];
      expect(decisions && JSON.parse(decisions)).toEqual(decisionsOf(plain, trial));
    },
  );

  it('keeps the pull secrets of the service account, put in by the API server before either of the two', () => {
    const at = TRIALS.findIndex(({ what }) => what.endsWith('that of the service account'));
    const expected = [{ name: 'of-robot' }, { name: 'kuik-pull-robot' }];
    const { byPolicy, plain } = outcomes[at]!;
    expect(byPolicy.spec['imagePullSecrets']).toEqual(expected);
    expect(byWebhook(plain, TRIALS[at]!).spec['imagePullSecrets']).toEqual(expected);
  });

  it('does nothing to a pod that it has admitted before', async () => {
    const at = TRIALS.findIndex(({ what }) => what.startsWith('all four kinds of places'));
    const trial = TRIALS[at]!;
    const { byPolicy } = outcomes[at]!;
    const { labels, annotations } = byPolicy.metadata;
    const again = await create({ ...trial, metadata: { labels, annotations }, spec: byPolicy.spec }, `${setOf(trial)}`);
    expect(seen(again)).toEqual(seen(byPolicy));
    expect(again.metadata.annotations).toEqual(annotations);
  });

  it('does with ephemeral containers what the webhook does: only those that are new, and no marks', async () => {
    const trial = own('', LOOSE, oneContainer('nginx:1'));
    const attach = (name: string, container: string, query: string): Promise<Pod> => {
      const ephemeralContainers = [{ name: container, image: `busybox:${container}`, targetContainerName: 'app' }];
      const path = `${podsOf('default')}/${name}/ephemeralcontainers${query}`;
      const contentType = 'application/strategic-merge-patch+json';
      return stack.controlPlane.api.request<Pod>('PATCH', path, { spec: { ephemeralContainers } }, { contentType });
    };
    const [plain, byPolicy] = ['plain', 'by-policy'];
    await create(trial, NOBODY, { name: plain, stored: true });
    await create(trial, `${setOf(trial)}`, { name: byPolicy, stored: true });
    const oldObject = await attach(plain, 'one', '');
    await attach(byPolicy, 'one', '');
    const object = await attach(plain, 'two', '?dryRun=All');
    const expected = byWebhook(object, trial, { operation: 'UPDATE', subResource: 'ephemeralcontainers', oldObject });
    const images = imageSlots((await attach(byPolicy, 'two', '?dryRun=All')).spec, ['ephemeralContainers']);
    expect(images.map(({ image }) => image).sort()).toEqual([
      'localhost:7439/docker.io/library/busybox:one',
      'localhost:7439/docker.io/library/busybox:two',
    ]);
    const second = imageSlots(expected.spec, ['ephemeralContainers']).find(({ key }) => key === 'e:two');
    expect(images.find(({ key }) => key === 'e:two')?.image).toBe(second?.image);
  });
});
