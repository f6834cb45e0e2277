import { GRANT_KEY_ANNOTATION, RENEW_AFTER_ANNOTATION } from '@kuik/contracts';
import type { KubeObject } from '@kuik/kube';

/** A Secret of ours as it is read: its data is not looked at. */
export interface PullSecret extends KubeObject {
  readonly type?: string;
}

/** Label value of the Secrets that we write. */
export const MANAGED_BY = 'kuik-pod-watcher';

export type SecretVerdict =
  | { readonly do: 'write'; readonly why: 'missing' | 'due' | 'other key' }
  | { readonly do: 'keep'; readonly untilMs: number }
  | { readonly do: 'leave' };

/**
 * What becomes of the pull secret that was found under its name. Rules, in order: there is none; somebody else made it; another key signed
 * it; it is due, or does not say when it is; it is good until then.
 */
export function secretVerdict(found: PullSecret | undefined, mark: string, now: number): SecretVerdict {
  if (found === undefined) return { do: 'write', why: 'missing' };
  const { labels = {}, annotations = {} } = found.metadata;
  if (labels['app.kubernetes.io/managed-by'] !== MANAGED_BY) return { do: 'leave' };
  if (annotations[GRANT_KEY_ANNOTATION] !== mark) return { do: 'write', why: 'other key' };
  const untilMs = Date.parse(annotations[RENEW_AFTER_ANNOTATION] ?? '');
  return untilMs > now ? { do: 'keep', untilMs } : { do: 'write', why: 'due' };
}
