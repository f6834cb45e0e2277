import { DEFAULTS, knownRegistry } from '@kuik/contracts';
import type { Pace, PacerOptions, Payer } from './port.ts';

/** No host's name holds it. */
const ACCOUNT_MARK = '|';

/** A payer in one word: the host's own name when no account pays. */
export function payerKey({ host, account }: Payer): string {
  return account === undefined ? host : `${host}${ACCOUNT_MARK}${account}`;
}

/** The payer of a `payerKey`. */
export function payerOf(key: string): Payer {
  const at = key.indexOf(ACCOUNT_MARK);
  return at < 0 ? { host: key } : { host: key.slice(0, at), account: key.slice(at + 1) };
}

/** The pace of a host: its own, else what is known of a well-known registry, else everybody's. */
export function paceOf({ hosts = {}, pace = DEFAULTS.pace }: PacerOptions, host: string): Pace {
  return Object.hasOwn(hosts, host) ? hosts[host]! : (knownRegistry(host)?.pace ?? pace);
}

/** Payers (`payerKey`) that this process itself parked: right also while nobody else can be asked. Epoch ms. */
export class LocalParks {
  readonly #parks = new Map<string, { readonly until: number; readonly reason: string }>();

  park(payer: string, untilMs: number, nowMs: number, reason = ''): void {
    for (const [other, { until }] of this.#parks) if (until <= nowMs) this.#parks.delete(other);
    if (untilMs > (this.#parks.get(payer)?.until ?? 0)) this.#parks.set(payer, { until: untilMs, reason });
  }

  /** 0 when not parked. */
  leftMs(payer: string, nowMs: number): number {
    return Math.max(0, Math.ceil((this.#parks.get(payer)?.until ?? 0) - nowMs));
  }

  reason(payer: string): string | undefined {
    return this.#parks.get(payer)?.reason;
  }
}
