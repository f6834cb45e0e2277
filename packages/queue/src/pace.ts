import { DEFAULTS, knownRegistry } from '@kuik/contracts';
import type { Pace, PacerOptions } from './port.ts';

/** The pace of a host: its own, else what is known of a well-known registry, else everybody's. */
export function paceOf({ hosts = {}, pace = DEFAULTS.pace }: PacerOptions, host: string): Pace {
  return Object.hasOwn(hosts, host) ? hosts[host]! : (knownRegistry(host)?.pace ?? pace);
}

/** Hosts that this process itself parked: right also while nobody else can be asked. Epoch ms. */
export class LocalParks {
  readonly #parks = new Map<string, { readonly until: number; readonly reason: string }>();

  park(host: string, untilMs: number, nowMs: number, reason = ''): void {
    for (const [other, { until }] of this.#parks) if (until <= nowMs) this.#parks.delete(other);
    if (untilMs > (this.#parks.get(host)?.until ?? 0)) this.#parks.set(host, { until: untilMs, reason });
  }

  /** 0 when not parked. */
  leftMs(host: string, nowMs: number): number {
    return Math.max(0, Math.ceil((this.#parks.get(host)?.until ?? 0) - nowMs));
  }

  reason(host: string): string | undefined {
    return this.#parks.get(host)?.reason;
  }
}
