import { FIXED } from '@kuik/contracts';
import type { CacheEndpoint } from '@kuik/registry';
import { COMEBACK_MS } from './while-away.ts';

/** How long another copier may take to a connection, and be silent in a body: its upstream may be slow to go on. */
const TIMEOUTS = { connectMs: 500, idleMs: 45_000 };

/** Other copiers, as the registries that they are to us: our key opens them, and each may take as long as the upstream that it reads, or its own disk. */
export class Peers {
  readonly #ours: CacheEndpoint;
  readonly #answerMs: (host: string) => number;
  /** The same objects each time: connections are kept by them. */
  readonly #known = new Map<string, CacheEndpoint>();

  /** `answerMs`: how long the registry of a host may take to answer. */
  constructor(ours: CacheEndpoint, answerMs: (host: string) => number) {
    this.#ours = ours;
    this.#answerMs = answerMs;
  }

  /** The copier at an address, asked for what it reads from the registry of a host. */
  at(address: string, host: string): CacheEndpoint {
    return this.#endpoint(address, this.#answerMs(host) + FIXED.copierOwnMs);
  }

  /** The copier at an address, asked for what lies on its disk: no upstream answers behind it, whatever registry that is of. */
  diskAt(address: string): CacheEndpoint {
    return this.#endpoint(address, COMEBACK_MS);
  }

  #endpoint(address: string, headersMs: number): CacheEndpoint {
    const key = `${address} ${headersMs}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size > 1_000) this.#known.clear();
    const made = { ...this.#ours, url: address, timeouts: { ...TIMEOUTS, headersMs } };
    this.#known.set(key, made);
    return made;
  }
}
