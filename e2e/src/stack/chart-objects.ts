import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { requirePart } from '@kuik/testbed';
import { parseAllDocuments } from 'yaml';

const run = promisify(execFile);
export const CHART = fileURLToPath(new URL('../../../charts/kube-image-keeper', import.meta.url));

export interface ChartObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
}

/**
 * What `helm template` makes of the chart in namespace `kuik-system`; `set` are `--set` values, `values` JSON by top-level key.
 * Throws with helm's own message when it refuses the values.
 */
export async function chartObjects(
  set: Readonly<Record<string, string>> = {},
  values: Readonly<Record<string, unknown>> = {},
): Promise<ChartObject[]> {
  const helm = await requirePart('helm');
  const flags = [
    ...Object.entries(set).flatMap(([key, value]) => ['--set', `${key}=${value}`]),
    ...Object.entries(values).flatMap(([key, value]) => ['--set-json', `${key}=${JSON.stringify(value)}`]),
  ];
  const { stdout } = await run(helm, ['template', 'kuik', CHART, '--namespace', 'kuik-system', ...flags], {
    maxBuffer: 64 * 1024 * 1024,
  });
  return parseAllDocuments(stdout)
    .map((document) => document.toJS() as ChartObject | null)
    .filter((object) => object !== null);
}

const IDENTITY_KINDS = new Set([
  'Namespace',
  'ServiceAccount',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'MutatingWebhookConfiguration',
]);

/** Who our services are and what they may do, and the webhook's registration: all of the chart that means something without nodes. */
export async function identityObjects(webhookUrl: string): Promise<ChartObject[]> {
  const objects = await chartObjects({ 'webhook.url': webhookUrl });
  return objects.filter((object) => IDENTITY_KINDS.has(object.kind));
}
