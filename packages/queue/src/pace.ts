import type { Pace } from './port.ts';

/** Meant for registries that say nothing about their limits: generous to bursts, quick to be parked. */
export const DEFAULT_PACE: Pace = { perSecond: 20, burst: 60 };

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
