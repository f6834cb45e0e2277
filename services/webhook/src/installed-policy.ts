import { ADMISSION_POLICY, FIELD_MANAGERS } from '@kuik/contracts';
import {
  isKubeError,
  orAbsent,
  MUTATING_ADMISSION_POLICIES,
  MUTATING_ADMISSION_POLICY_BINDINGS,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  sameJson,
  type KubeClient,
  type KubeObject,
  type Resource,
} from '@kuik/kube';
import type { AdmissionPolicy } from '@kuik/rules';

type PolicyClient = Pick<KubeClient, 'get' | 'apply' | 'delete'>;
type OwnerReference = NonNullable<KubeObject['metadata']['ownerReferences']>[number];
type WithSpec = KubeObject & { readonly spec: object };

/** What was done with a policy, or why nothing was: it differs and is not ours to write now, the API server does not serve policies, or would not have this one. */
export type Installation =
  | { readonly result: 'kept' | 'applied' | 'left' | 'not-served' }
  | { readonly result: 'refused'; readonly message: string };

const API_VERSION = 'admissionregistration.k8s.io/v1';

/** A refusal repeats the whole expression. */
const MESSAGE_MAX = 600;

/**
 * Has the API server hold this policy and its binding, and nothing else under their name; writes only what differs, and asks `mayWrite` first. The policy comes
 * first: a binding without one does nothing. Both belong to the registration: whoever removes that (`helm uninstall` does) is rid of them,
 * too, though nobody of us be left. Throws KubeError for what may be otherwise next time.
 */
export async function installPolicy(
  kube: PolicyClient,
  { policy, binding }: AdmissionPolicy,
  registration: KubeObject,
  mayWrite: () => boolean,
  signal: AbortSignal,
): Promise<Installation> {
  const { kind } = MUTATING_WEBHOOK_CONFIGURATIONS;
  const { name, uid } = registration.metadata;
  const owner = { apiVersion: API_VERSION, kind, name, uid };
  try {
    const done = [
      await put(kube, MUTATING_ADMISSION_POLICIES, policy, owner, mayWrite, signal),
      await put(kube, MUTATING_ADMISSION_POLICY_BINDINGS, binding, owner, mayWrite, signal),
    ] as const;
    return { result: (['left', 'applied'] as const).find((result) => done.includes(result)) ?? 'kept' };
  } catch (error) {
    // An apply makes what is missing: only the collection itself can be missing then.
    if (isKubeError(error, 'not-found')) return { result: 'not-served' };
    if (isKubeError(error, 'invalid')) return { result: 'refused', message: error.message.slice(0, MESSAGE_MAX) };
    throw error;
  }
}

/** Removes both, the binding first; `none` when there was nothing, `left` when it is not ours to write now. */
export async function removePolicy(
  kube: PolicyClient,
  mayWrite: () => boolean,
  signal: AbortSignal,
): Promise<'removed' | 'none' | 'left'> {
  let removed = false;
  for (const resource of [MUTATING_ADMISSION_POLICY_BINDINGS, MUTATING_ADMISSION_POLICIES]) {
    if ((await read(kube, resource, signal)) === undefined) continue;
    if (!mayWrite()) return 'left';
    removed = (await kube.delete(resource, { name: ADMISSION_POLICY }, { signal })) || removed;
  }
  return removed ? 'removed' : 'none';
}

async function put(
  kube: PolicyClient,
  resource: Resource,
  wanted: AdmissionPolicy['policy'],
  owner: OwnerReference,
  mayWrite: () => boolean,
  signal: AbortSignal,
): Promise<'kept' | 'applied' | 'left'> {
  const found = await read(kube, resource, signal);
  const owned = found?.metadata.ownerReferences?.some(({ uid }) => uid === owner.uid) === true;
  if (owned && sameJson(found?.spec, wanted.spec)) return 'kept';
  if (!mayWrite()) return 'left';
  const metadata = { ...wanted.metadata, ownerReferences: [owner] };
  const options = { fieldManager: FIELD_MANAGERS.policy, signal };
  await kube.apply(resource, { name: ADMISSION_POLICY }, { ...wanted, metadata }, options);
  return 'applied';
}

function read(kube: PolicyClient, resource: Resource, signal: AbortSignal): Promise<WithSpec | undefined> {
  return orAbsent(kube.get<WithSpec>(resource, { name: ADMISSION_POLICY }, { signal }));
}
