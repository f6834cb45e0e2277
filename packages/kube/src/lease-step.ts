/** A Lease as one candidate sees it: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/lease-v1/ */
export interface LeaseSeen {
  /** '' when released. */
  holder: string;
  durationMs: number;
  /** How long ago, by our own monotonic clock, this version of it was first seen. */
  seenForMs: number;
}

export type LeaseStep =
  | { step: 'create' | 'renew'; reason: 'NoLease' | 'Ours' }
  | { step: 'take'; reason: 'Released' | 'HolderSilent' }
  | { step: 'wait'; reason: 'HeldByOther'; forMs: number };

/**
 * What a candidate does about a Lease. Clocks of two machines are never compared: a holder is silent when *we* saw no renewal for
 * the whole duration that it promised.
 * 1. There is none: create it; but when we saw somebody hold it lately (someone deleted it), wait until that holder has given up.
 * 2. It is ours: renew.
 * 3. It was released: take it.
 * 4. Its holder fell silent: take it.
 * 5. Wait until then.
 */
export function leaseStep(identity: string, exists: boolean, seen: LeaseSeen | undefined): LeaseStep {
  if (seen === undefined) return { step: 'create', reason: 'NoLease' };
  const leftMs = seen.durationMs - seen.seenForMs;
  const other = seen.holder !== identity && seen.holder !== '';
  if (!exists) {
    return other && leftMs > 0
      ? { step: 'wait', reason: 'HeldByOther', forMs: leftMs }
      : { step: 'create', reason: 'NoLease' };
  }
  if (seen.holder === identity) return { step: 'renew', reason: 'Ours' };
  if (!other) return { step: 'take', reason: 'Released' };
  if (leftMs <= 0) return { step: 'take', reason: 'HolderSilent' };
  return { step: 'wait', reason: 'HeldByOther', forMs: leftMs };
}
