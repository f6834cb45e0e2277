import { createHash } from 'node:crypto';
import { TRANSFER_OWNER_EVERY_MS, type TransferOwner } from '@kuik/contracts';

/** Silent for this long is gone. */
const SILENT_MS = 3.5 * TRANSFER_OWNER_EVERY_MS;
const SPARED_MS = 5_000;
const ALL_HOSTS = '';
const HOSTS_MAX = 100;

/**
 * Copiers that give away what they read from upstream, as they tell over NATS, and in which order they are asked for a blob: by rendezvous
 * hash, so that proxies that know the same copiers ask the same one, and one that comes or goes moves no other's blobs.
 */
export class Owners {
  /** `host:port` of each: where a copier may send us on to with our token. Always the same list. */
  readonly trusted: string[] = [];
  readonly #now: () => number;
  readonly #seenMs = new Map<string, number>();
  readonly #instances = new Map<string, string>();
  /** By address: until when it is spared by upstream host, or for all of them. */
  readonly #sparedUntilMs = new Map<string, Map<string, number>>();

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** It is there. One that did not answer is asked again at once when another process is there now: two that die in turn leave nobody else. */
  told({ url, instance, leaving }: TransferOwner): void {
    if (!URL.canParse(url) || new URL(url).protocol !== 'http:') return;
    if (leaving === true) this.#seenMs.delete(url);
    else this.#seenMs.set(url, this.#now());
    if (instance !== undefined && instance !== this.#instances.get(url)) {
      this.#instances.set(url, instance);
      this.#sparedUntilMs.delete(url);
    }
    this.#forget();
  }

  /** It did not answer: nobody waits for it for the next moments; of `host` alone when it may have waited for that one itself. */
  spare(url: string, host = ALL_HOSTS): void {
    const spared = this.#sparedUntilMs.get(url) ?? new Map<string, number>();
    this.#sparedUntilMs.set(url, spared);
    if (spared.size > HOSTS_MAX) spared.clear();
    spared.set(host, this.#now() + SPARED_MS);
  }

  /** It did not answer a moment ago, whatever it was asked for; `host`: or this registry's. */
  spares(url: string, host = ALL_HOSTS): boolean {
    const untilMs = this.#sparedUntilMs.get(url);
    return [ALL_HOSTS, host].some((of) => (untilMs?.get(of) ?? -Infinity) > this.#now());
  }

  /** How long ago it said that it is there; undefined: it did not, or left. */
  sinceToldMs(url: string): number | undefined {
    const seenMs = this.#seenMs.get(url);
    return seenMs === undefined ? undefined : this.#now() - seenMs;
  }

  get known(): number {
    return this.#live().length;
  }

  /** Whom to ask for a blob, best first. `insist`: those that are spared as well, last. */
  order(host: string, digest: string, { insist = false } = {}): string[] {
    const weigh = (url: string): string => createHash('sha256').update(`${url}\n${host}\n${digest}`).digest('hex');
    const spared = (url: string): boolean => this.spares(url, host);
    const ordered = this.#live()
      .map((url) => ({ url, weight: weigh(url) }))
      .sort((a, b) => (a.weight < b.weight ? 1 : -1))
      .map(({ url }) => url);
    const asked = ordered.filter((url) => !spared(url));
    return insist ? [...asked, ...ordered.filter(spared)] : asked;
  }

  #live(): string[] {
    return [...this.#seenMs].filter(([, seenMs]) => this.#now() - seenMs <= SILENT_MS).map(([url]) => url);
  }

  #forget(): void {
    for (const [url, seenMs] of this.#seenMs) {
      if (this.#now() - seenMs <= SILENT_MS) continue;
      this.#seenMs.delete(url);
      this.#instances.delete(url);
    }
    // Also of those that we were sent on to, or that left.
    for (const [url, hosts] of this.#sparedUntilMs)
      if (Math.max(...hosts.values()) <= this.#now()) this.#sparedUntilMs.delete(url);
    this.trusted.splice(0, Infinity, ...[...this.#seenMs.keys()].map((url) => new URL(url).host));
  }
}
