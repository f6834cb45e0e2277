import { PULL_SECRET_PREFIX } from '@kuik/contracts';
import type { Variable } from './cel-text.ts';

/** Longest name of a Secret that still has room for an account's name behind our prefix. */
const ACCOUNT_MAX = 253 - PULL_SECRET_PREFIX.length;

/** The service account's pull secret, and whether the pod gets it: the webhook's `addPullSecret`, said in CEL. */
export function pullSecretVariables(): Variable[] {
  return [
    {
      name: 'account',
      expression: 'object.spec.?serviceAccountName.orValue("") == "" ? "default" : object.spec.serviceAccountName',
    },
    {
      name: 'getsPullSecret',
      expression: `!variables.debug && size(variables.rewritten) + size(variables.already) > 0 && size(variables.account) <= ${ACCOUNT_MAX} && !object.spec.?imagePullSecrets.orValue([]).exists(s, s.?name.orValue("") == "${PULL_SECRET_PREFIX}" + variables.account)`,
    },
  ];
}

/** A list that the pod does not have is added as a whole. */
export function pullSecretPatch(): string {
  const secret = `{"name": "${PULL_SECRET_PREFIX}" + variables.account}`;
  const one = `[JSONPatch{op: "add", path: "/spec/imagePullSecrets/-", value: ${secret}}]`;
  const list = `[JSONPatch{op: "add", path: "/spec/imagePullSecrets", value: [${secret}]}]`;
  return `(!variables.getsPullSecret ? [] : has(object.spec.imagePullSecrets) ? ${one} : ${list})`;
}
