import { describe, expect, it } from '@jest/globals';
import { Decider } from './decider.ts';
import { REASONS } from './decision.ts';
import { ALL_KINDS, imageSlots } from './image-slots.ts';
import { podFacts } from './pod-facts.ts';
import { rulesFile } from './rules-file.ts';
import { RULE_CASES } from './testing/index.ts';

const OPTIONS = {
  ownNamespaces: ['kube-system', 'kuik-system', 'kuik-system-proxy'],
  proxyPrefixes: ['localhost:7439'],
};

describe('Decider', () => {
  it.each(RULE_CASES.map((each) => [each.what, each] as const))(
    '%s',
    (_, { rules, pod, namespaceLabels, sparedOwners = [], images }) => {
      const decider = new Decider(rulesFile.parse(rules), OPTIONS);
      const slots = imageSlots(pod.spec, ALL_KINDS);
      const facts = podFacts(pod.metadata.namespace, pod.metadata, pod.spec, (uid) => sparedOwners.includes(uid));
      const decided = decider.decide({ ...facts, namespaceLabels }, slots);
      const found = slots.map(({ key, image }, index) => {
        const { verdict, reason, rule, image: given, reference } = decided.images[index]!;
        expect(reference !== undefined).toBe(verdict !== 'keep');
        expect(given === image).toBe(verdict !== 'rewrite');
        return [key, { verdict, reason, rule, ...(given === image ? {} : { image: given }) }] as const;
      });
      expect(Object.fromEntries(found)).toEqual(images);
    },
  );

  it('is held to every reason by the table of cases', () => {
    const covered = new Set(RULE_CASES.flatMap(({ images }) => Object.values(images).map(({ reason }) => reason)));
    expect([...covered].sort()).toEqual(Object.values(REASONS).sort());
    expect(RULE_CASES.length).toBeGreaterThanOrEqual(60);
    expect(new Set(RULE_CASES.map(({ what }) => what)).size).toBe(RULE_CASES.length);
  });

  it('decides nothing by labels of a namespace that are not known', () => {
    const decider = new Decider(rulesFile.parse({ namespaceSelector: { matchLabels: { a: 'b' } } }), OPTIONS);
    const facts = podFacts('default', {}, {});
    expect(decider.decide(facts, [{ image: 'nginx:1' }]).images[0]).toMatchObject({ verdict: 'rewrite' });
  });

  it.each([
    ['labels', { labels: { team: 7, other: null } }],
    ['annotations', { annotations: [] }],
    ['owners', { ownerReferences: [null, 'spared', { uid: 7 }, {}] }],
    ['all owners', { ownerReferences: { uid: 'spared' } }],
    ['metadata', 'text'],
  ])('takes %s that are none for absent', (_, metadata) => {
    const decider = new Decider(rulesFile.parse({ skipLabels: ['team=7'], skipAnnotations: ['0'] }), OPTIONS);
    const facts = podFacts('default', metadata, {}, () => true);
    expect(decider.decide(facts, [{ image: 'nginx:1' }]).images[0]).toMatchObject({ verdict: 'rewrite' });
  });
});

it.each([
  [null],
  [{ nodeSelector: [], os: 'windows' }],
  [{ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [null] } } } }],
  [{ affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: 'x' } } } }],
  [
    {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [null, {}, { key: 'kubernetes.io/os', operator: 'In' }] }],
          },
        },
      },
    },
  ],
])('what a pod demands of its node is nothing when it is written so: %j', (spec) => {
  const decider = new Decider(rulesFile.parse({}), OPTIONS);
  const facts = { ...podFacts('default', {}, {}), spec };
  expect(decider.decide(facts, []).pod).toBeUndefined();
});
