/** Who rewrites pods: this webhook, a policy in the API server, or the policy wherever it can. */
export type AdmissionWish = 'webhook' | 'policy' | 'auto';

/** What came of having the API server go by the rules itself. */
export type PolicyAttempt =
  'not-wanted' | 'not-registered' | 'not-in-cel' | 'not-served' | 'refused' | 'changed-by-others' | 'installed';

/** Stable: they reach the log unchanged. */
export type PathReason =
  'Configured' | 'NotRegistered' | 'NotServed' | 'NotInCel' | 'RefusedByServer' | 'ChangedByOthers';

/** `unchanged`: what is in place goes on, a policy with older rules included. */
export interface AdmissionPath {
  readonly by: 'webhook' | 'policy' | 'unchanged';
  readonly reason: PathReason;
}

/**
 * Who rewrites pods from now on. 1. A policy that is installed; 2. whoever others have just seen to, see `LastWord`; 3. the webhook, when it
 * is wished for; 4. nobody by a policy while our registration is away: who removes it wants pods to be left alone; 5. the webhook where the
 * API server serves no such policies; 6. with `auto` the webhook, too, when the rules cannot be said in CEL or 7. the API server refuses
 * them: they have to hold at once. 8. With `policy` nothing changes then: refused rules do not come into force.
 */
export function admissionPath(wish: AdmissionWish, attempt: PolicyAttempt): AdmissionPath {
  if (attempt === 'installed') return { by: 'policy', reason: 'Configured' };
  if (attempt === 'changed-by-others') return { by: 'unchanged', reason: 'ChangedByOthers' };
  if (wish === 'webhook' || attempt === 'not-wanted') return { by: 'webhook', reason: 'Configured' };
  if (attempt === 'not-registered') return { by: 'webhook', reason: 'NotRegistered' };
  if (attempt === 'not-served') return { by: 'webhook', reason: 'NotServed' };
  const reason = attempt === 'not-in-cel' ? 'NotInCel' : 'RefusedByServer';
  return { by: wish === 'auto' ? 'webhook' : 'unchanged', reason };
}
