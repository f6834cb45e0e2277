import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { leaseTestbed, requirePart, until, type ControlPlane, type KubeObject } from '@kuik/testbed';
import { CHART, chartObjects } from './chart-objects.ts';

const run = promisify(execFile);

let controlPlane: ControlPlane;
let stop: () => Promise<void>;
beforeAll(async () => {
  ({ controlPlane, stop } = await leaseTestbed({ parts: ['controlPlane'] }));
});
afterAll(() => stop());

async function helm(...args: string[]): Promise<string> {
  const flags = ['--kubeconfig', controlPlane.kubeconfig, '--namespace', 'kuik-system'];
  return (await run(await requirePart('helm'), [...args, ...flags], { timeout: 50_000 })).stdout;
}

/** What the Job controller would say, which a control plane alone does not have. */
async function completeJob(name: string): Promise<void> {
  const path = `/apis/batch/v1/namespaces/kuik-system/jobs/${name}`;
  const job = await until(() => controlPlane.api.find<KubeObject>(path), { timeoutMs: 30_000, what: `Job ${name}` });
  const now = new Date().toISOString();
  const condition = { status: 'True', lastProbeTime: now, lastTransitionTime: now };
  const conditions = ['SuccessCriteriaMet', 'Complete'].map((type) => ({ type, ...condition }));
  await controlPlane.api.request('PUT', `${path}/status`, {
    ...job,
    status: { startTime: now, completionTime: now, succeeded: 1, conditions },
  });
}

describe('the life of a release', () => {
  const serviceAccount = '/api/v1/namespaces/kuik-system/serviceaccounts/kuik-keys';

  it('is installed by helm with no values', async () => {
    await helm('install', 'kuik', CHART, '--create-namespace');
    expect(await controlPlane.api.find('/apis/batch/v1/namespaces/kuik-system/jobs/kuik-keys-1')).toBeDefined();
    expect(await controlPlane.api.find(serviceAccount)).toBeDefined();
    expect(await helm('get', 'notes', 'kuik')).toContain('kubectl get cachedimages');
  });

  it('is upgraded after its keys job is through, again and again, and keeps what the webhook wrote into its registration', async () => {
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/kuik-webhook';
    const caBundle = Buffer.from(controlPlane.caPem).toString('base64');
    await controlPlane.api.request(
      'PATCH',
      path,
      { webhooks: [{ name: 'pods.kuik.enix.io', clientConfig: { caBundle } }] },
      { contentType: 'application/strategic-merge-patch+json' },
    );
    for (const revision of [2, 3]) {
      await Promise.all([
        helm('upgrade', 'kuik', CHART, '--set', `webhook.replicas=${revision}`),
        completeJob(`kuik-keys-${revision}`),
      ]);
      const webhook = await controlPlane.api.get<{ spec: { replicas: number } }>(
        '/apis/apps/v1/namespaces/kuik-system/deployments/kuik-webhook',
      );
      expect(webhook.spec.replicas).toBe(revision);
    }
    expect(await controlPlane.api.find(serviceAccount)).toBeUndefined();
    const { webhooks } = await controlPlane.api.get<{ webhooks: { clientConfig: object }[] }>(path);
    expect(webhooks[0]!.clientConfig).toMatchObject({ caBundle });
  });

  it('goes with the registration of the webhook', async () => {
    await helm('uninstall', 'kuik');
    const registrations = await controlPlane.api.list(
      '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations',
    );
    expect(registrations).toEqual([]);
  });
});

describe('Pod Security', () => {
  type PodTemplate = { metadata: object; spec: { containers: object[]; serviceAccountName?: string } };
  type Workload = { template: PodTemplate };

  it('restricted takes every pod of the release namespace; the node proxy alone needs more', async () => {
    await controlPlane.namespace('psa', { 'pod-security.kubernetes.io/enforce': 'restricted' });
    const refused: string[] = [];
    for (const object of await chartObjects()) {
      if (!['Deployment', 'DaemonSet', 'StatefulSet', 'Job'].includes(object.kind)) continue;
      const { metadata, spec } = (object['spec'] as Workload).template;
      const data = { name: 'data', emptyDir: {} };
      const volumes = [...((spec as { volumes?: { name: string }[] }).volumes ?? [])];
      if (object.kind === 'StatefulSet' && !volumes.some(({ name }) => name === 'data')) volumes.push(data);
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { ...metadata, name: object.metadata.name, namespace: 'psa' },
        spec: { ...spec, volumes, serviceAccountName: 'default', priorityClassName: '' },
      };
      try {
        await controlPlane.api.create('/api/v1/namespaces/psa/pods?dryRun=All', pod);
      } catch (error) {
        refused.push(`${object.metadata.name}: ${(error as Error).message}`);
      }
    }
    expect(refused).toEqual([expect.stringMatching(/^kuik-node-proxy: .*host namespaces/s)]);
  });
});
