import { describe, expect, it } from '@jest/globals';
import { podScope, rulesFile, type WrittenRules } from '@kuik/rules';
import { planRegistration, type RegisteredWebhook } from './plan-registration.ts';

const OWN = ['kube-system', 'kuik-system'];
const scopeOf = (rules: WrittenRules) => podScope(rulesFile.parse(rules), OWN);
const BARE = { name: 'pods.kuik.enix.io', timeoutSeconds: 2, clientConfig: { caBundle: 'Y2E=' } };
const planned = (rules: WrittenRules, before: RegisteredWebhook = BARE) =>
  planRegistration([before], scopeOf(rules))?.[0];
const names = (webhook: RegisteredWebhook | undefined) => webhook?.matchConditions?.map(({ name }) => name);

describe('planRegistration', () => {
  it('gives each webhook the selectors and conditions of the rules, and leaves the rest as it is', () => {
    const rules: WrittenRules = {
      ignoreNamespaces: ['ci'],
      namespaces: { silent: { mode: 'off' }, watched: { mode: 'observe' } },
      namespaceSelector: { matchLabels: { tier: 'prod' } },
      podSelector: { matchExpressions: [{ key: 'role', operator: 'NotIn', values: ['instance'] }] },
      skipLabels: ['no-cache'],
      skipAnnotations: ['managed=by hand'],
    };
    const webhook = planned(rules);
    expect(webhook).toMatchObject({
      ...BARE,
      namespaceSelector: {
        matchExpressions: [
          { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [...OWN, 'ci', 'silent'] },
          { key: 'tier', operator: 'In', values: ['prod'] },
        ],
      },
      objectSelector: {
        matchExpressions: [
          { key: 'kube-image-keeper.enix.io/image-caching-policy', operator: 'NotIn', values: ['ignore'] },
          { key: 'role', operator: 'NotIn', values: ['instance'] },
        ],
      },
    });
    expect(names(webhook)).toEqual(['skip-labels', 'skip-annotations', 'no-mirror', 'not-node-critical']);
    expect(planned(rules, webhook)).toBeUndefined();
  });

  it('with mode off sends only what single namespaces want', () => {
    const off: WrittenRules = { mode: 'off', namespaces: { shop: { mode: 'rewrite' }, watched: { mode: 'observe' } } };
    expect(planned(off)?.namespaceSelector).toEqual({
      matchExpressions: [
        { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: OWN },
        { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['shop', 'watched'] },
      ],
    });
    expect(planned({ mode: 'off' })?.namespaceSelector).toMatchObject({
      matchExpressions: [{}, { operator: 'DoesNotExist' }],
    });
  });

  it('takes conditions out whose rule is gone, and leaves those of others', () => {
    const gate = { name: 'not-admitted-by-policy', expression: 'true' };
    const before = planned({ skipLabels: ['no-cache'] }, { ...BARE, matchConditions: [gate] });
    expect(names(before)).toEqual(['skip-labels', 'no-mirror', 'not-node-critical', gate.name]);
    expect(names(planned({ rewriteNodeCritical: true }, before))).toEqual(['no-mirror', gate.name]);
  });

  it('puts back what somebody edited', () => {
    const right = planned({})!;
    expect(planned({}, { ...right, namespaceSelector: {} })).toEqual(right);
    expect(planned({}, { ...right, matchConditions: [{ name: 'no-mirror', expression: 'false' }] })).toEqual(right);
  });

  it.each([undefined, []])('has nothing to say without webhooks: %j', (webhooks) => {
    expect(planRegistration(webhooks, scopeOf({}))).toBeUndefined();
  });
});
