import { describe, expect, it, beforeAll } from '@jest/globals';
import { CRDS, ownNamespaces, SERVICES } from '@kuik/contracts';
import { podScope, rulesFile, type WrittenRules } from '@kuik/rules';
import { leaseTestbed } from '@kuik/testbed';
import { chartObjects, type ChartObject } from './chart-objects.ts';
import { loadedBy } from './rendered-settings.ts';

let objects: ChartObject[];
beforeAll(async () => {
  objects = await chartObjects();
}, 30_000);

const find = (kind: string, name: string): ChartObject | undefined =>
  objects.find((object) => object.kind === kind && object.metadata.name === name);

describe('the chart', () => {
  it('is taken by a real API server as it is rendered', async () => {
    const { controlPlane, stop } = await leaseTestbed({ parts: ['controlPlane'] });
    try {
      await controlPlane.namespace('kuik-system');
      await controlPlane.namespace('kuik-system-proxy');
      await controlPlane.applyAll(CRDS);
      const applied = await controlPlane.applyAll(objects, { dryRun: true });
      expect(applied).toHaveLength(objects.length);
    } finally {
      await stop();
    }
  });

  it.each(SERVICES)('gives %s a configuration that it accepts', async (service) => {
    const config = find('ConfigMap', `kuik-${service}`) as ChartObject & { data: Record<string, string> };
    expect(await loadedBy(service, config.data['config.yaml'], { KUIK_NODE: 'node-1' })).toMatchObject({ nats: {} });
  });

  it('never lets a role list or watch secrets', () => {
    type Rule = { resources?: string[]; verbs: string[] };
    const rules = objects.filter((object) => /Role$/.test(object.kind)).flatMap((object) => object['rules'] as Rule[]);
    const onSecrets = rules.filter((rule) =>
      rule.resources?.some((resource) => resource === 'secrets' || resource === '*'),
    );
    expect(onSecrets.length).toBeGreaterThan(0);
    for (const rule of onSecrets) for (const verb of ['list', 'watch', '*']) expect(rule.verbs).not.toContain(verb);
  });

  const exists = { key: 'zone', operator: 'Exists' as const };
  it.each<[string, WrittenRules]>([
    ['the defaults', {}],
    [
      'selectors and namespaces',
      {
        ignoreNamespaces: ['ci', 'stage'],
        namespaceSelector: { matchLabels: { tier: 'prod' }, matchExpressions: [exists] },
        podSelector: { matchExpressions: [{ key: 'role', operator: 'NotIn', values: ['a', 'b'] }] },
        rewriteNodeCritical: true,
      },
    ],
  ])('registers the webhook as the webhook itself would by its rules: %s', async (_, rules) => {
    const rendered = await chartObjects({}, { rules });
    const registration = rendered.find(({ kind }) => kind === 'MutatingWebhookConfiguration')!;
    const [webhook] = registration['webhooks'] as Record<string, unknown>[];
    const { namespaceSelector, objectSelector, matchConditions = [] } = webhook!;
    const wanted = podScope(rulesFile.parse(rules), ownNamespaces('kuik-system'));
    expect({ namespaceSelector, objectSelector, matchConditions }).toEqual(wanted);
  });

  it('never renders a caBundle and fails open', () => {
    const registration = find('MutatingWebhookConfiguration', 'kuik-webhook')!;
    const webhooks = registration['webhooks'] as {
      failurePolicy: string;
      timeoutSeconds: number;
      sideEffects: string;
      reinvocationPolicy: string;
    }[];
    expect(JSON.stringify(registration)).not.toContain('caBundle');
    for (const webhook of webhooks) {
      expect(webhook).toMatchObject({
        failurePolicy: 'Ignore',
        timeoutSeconds: 2,
        sideEffects: 'NoneOnDryRun',
        reinvocationPolicy: 'IfNeeded',
      });
    }
  });

  it('runs nothing as root and mounts no token by itself', () => {
    type Pod = {
      automountServiceAccountToken: boolean;
      securityContext: { runAsNonRoot: boolean };
      containers: { securityContext: { readOnlyRootFilesystem: boolean } }[];
    };
    const pods = objects
      .filter((object) => ['Deployment', 'DaemonSet', 'StatefulSet'].includes(object.kind))
      .map((object) => (object['spec'] as { template: { spec: Pod } }).template.spec);
    // Ours, and NATS, Redis and the cache registry.
    expect(pods).toHaveLength(SERVICES.length + 3);
    for (const pod of pods) {
      expect(pod.automountServiceAccountToken).toBe(false);
      expect(pod.securityContext.runAsNonRoot).toBe(true);
      for (const container of pod.containers) expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
    }
  });
});
