import { FIXED } from '@kuik/contracts';
import type { CacheEndpoint } from '@kuik/registry';

/** How long another copier may take to a connection, and be silent in a body: its upstream may be slow to go on. */
const TIMEOUTS = { connectMs: 500, idleMs: 45_000 };

/** Other copiers, as the registries that they are to us: our key opens them, and each may take as long as the upstream that it reads. */
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
    const headersMs = this.#answerMs(host) + FIXED.copierOwnMs;
    const key = `${address} ${headersMs}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    if (this.#known.size > 1_000) this.#known.clear();
    const made = { ...this.#ours, url: address, timeouts: { ...TIMEOUTS, headersMs } };
    this.#known.set(key, made);
    return made;
  }
}
