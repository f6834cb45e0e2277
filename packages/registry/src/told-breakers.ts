import { OriginBreakers } from './origin-breakers.ts';

/** Whom a service tells of the hosts that it spares. */
export interface BreakerTelling {
  readonly log: { warn(message: string, fields: Record<string, unknown>): void };
  readonly clock: { monotonic(): number };
  /** Requests that were not made. */
  readonly spared: { inc(): void };
  /** Hosts that are spared now, set whenever metrics are asked for. */
  readonly open: { set(hosts: number): void };
  readonly onCollect: (collect: () => void) => void;
}

/** Spares the hosts of upstream that do not answer, as a service's `upstreamBreaker` says (`open` in ms), and tells of it. */
export function toldBreakers(
  { failures, open: openMs }: { readonly failures: number; readonly open: number },
  { log, clock, spared, open, onCollect }: BreakerTelling,
): OriginBreakers {
  const breakers = new OriginBreakers({
    failures,
    openMs,
    now: () => clock.monotonic(),
    onOpen: (origin) => log.warn('upstream does not answer', { origin, sparedMs: openMs }),
    onSpared: () => spared.inc(),
  });
  onCollect(() => open.set(breakers.open));
  return breakers;
}
