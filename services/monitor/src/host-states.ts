import type { HostState } from '@kuik/contracts';
import { resetAtOf, scarcest, type PayerFacts } from '@kuik/queue';

/** The payers of each host, in the order in which hosts come up last. */
export function byHost(facts: readonly PayerFacts[]): Map<string, PayerFacts[]> {
  const hosts = new Map<string, PayerFacts[]>();
  for (const known of facts) {
    const payers = hosts.get(known.host) ?? [];
    payers.push(known);
    hosts.delete(known.host);
    hosts.set(known.host, payers);
  }
  return hosts;
}

/**
 * What nodes are told of a host at `now` (epoch ms); undefined: nothing that they have to know. They leave it alone only when they ask without a credential,
 * so of parks and quotas those count that are nobody's in particular; of an account's quota no more than that the host counts.
 */
export function hostStateOf(host: string, payers: readonly PayerFacts[], now: number): HostState | undefined {
  const { parkedUntilMs, why, quotas = [] } = payers.find(({ account }) => account === undefined) ?? {};
  const parked = parkedUntilMs !== undefined && parkedUntilMs > now;
  const own = scarcest(quotas, now);
  const counts =
    own ??
    scarcest(
      payers.flatMap((payer) => payer.quotas),
      now,
    );
  if (!parked && counts === undefined) return undefined;
  return {
    host,
    ...(parked ? { parkedUntil: new Date(parkedUntilMs).toISOString() } : {}),
    ...(parked && why !== undefined ? { why: why.slice(0, 128) } : {}),
    ...(counts?.limit === undefined ? {} : { limit: counts.limit }),
    ...(own?.remaining === undefined ? {} : { remaining: own.remaining }),
    ...(own === undefined ? {} : { resetAt: new Date(resetAtOf(own)).toISOString() }),
  };
}

/** Nodes work with times to the second: what moved by less (a duration that became a time again) is nothing new. */
const SAME_MS = 1_500;

/** Whether a node that knows `before` would learn nothing. */
export function saysTheSame(before: HostState | undefined, next: HostState): boolean {
  if (before === undefined) return false;
  const near = (a: string | undefined, b: string | undefined): boolean =>
    a === b || (a !== undefined && b !== undefined && Math.abs(Date.parse(a) - Date.parse(b)) <= SAME_MS);
  return (
    before.limit === next.limit &&
    before.remaining === next.remaining &&
    before.why === next.why &&
    near(before.parkedUntil, next.parkedUntil) &&
    near(before.resetAt, next.resetAt)
  );
}
