import { pullSecretName } from '@kuik/contracts';
import { isRecord } from '@kuik/rules';
import type { PatchOperation } from './mark-pod.ts';

/**
 * Gives a pod whose images go through the proxy the pull secret of its service account, beside those that it has: kubelet shows the proxy by it
 * whose pod pulls. By now the API server has put in the service account's own secrets, when the pod named none (the ServiceAccount plugin runs
 * before webhooks). Nothing when it is there already, or when its name would be too long.
 */
export function addPullSecret(spec: Readonly<Record<string, unknown>>): PatchOperation[] {
  const { serviceAccountName, imagePullSecrets } = spec;
  const account = typeof serviceAccountName === 'string' && serviceAccountName !== '' ? serviceAccountName : 'default';
  const name = pullSecretName(account);
  if (name === undefined) return [];
  const secrets: unknown[] = Array.isArray(imagePullSecrets) ? imagePullSecrets : [];
  if (secrets.some((secret) => isRecord(secret) && secret['name'] === name)) return [];
  if (!Array.isArray(imagePullSecrets)) return [{ op: 'add', path: '/spec/imagePullSecrets', value: [{ name }] }];
  return [{ op: 'add', path: '/spec/imagePullSecrets/-', value: { name } }];
}
