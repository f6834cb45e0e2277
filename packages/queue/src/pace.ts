import { DEFAULTS } from '@kuik/contracts';
import type { Pace, PacerOptions } from './port.ts';

/** The pace of a host: its own, else everybody's. */
export function paceOf({ hosts = {}, pace = DEFAULTS.pace }: PacerOptions, host: string): Pace {
  return Object.hasOwn(hosts, host) ? hosts[host]! : pace;
}

/** Hosts that this process itself parked: right also while nobody else can be asked. Epoch ms. */
export class LocalParks {
  readonly #until = new Map<string, number>();

  park(host: string, untilMs: number, nowMs: number): void {
    for (const [other, until] of this.#until) if (until <= nowMs) this.#until.delete(other);
    this.#until.set(host, Math.max(untilMs, this.#until.get(host) ?? 0));
  }

  /** 0 when not parked. */
  leftMs(host: string, nowMs: number): number {
    return Math.max(0, Math.ceil((this.#until.get(host) ?? 0) - nowMs));
  }
}
