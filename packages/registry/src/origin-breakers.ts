import { Breaker } from './breaker.ts';
import { RegistryError } from './errors.ts';

export interface OriginBreakersOptions {
  /** Requests in a row that an origin did not answer in time. */
  readonly failures: number;
  /** How long it is then spared before one request may probe it, in ms. */
  readonly openMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
  /** An origin (`https://quay.io`) is spared from now on. */
  readonly onOpen?: (origin: string) => void;
  /** A request was not made. */
  readonly onSpared?: (origin: string) => void;
}

/** Origins that are in trouble at once; more than a node meets. */
const REMEMBERED = 1_000;

/**
 * One breaker per origin (scheme, host, port: a registry, its token server and the host that it redirects blobs to are each their own). Only
 * silence opens it: whoever answers, or refuses the connection, costs nobody any time.
 */
export class OriginBreakers {
  readonly #options: OriginBreakersOptions;
  /** Of origins whose last request was not answered. */
  readonly #breakers = new Map<string, Breaker>();

  constructor(options: OriginBreakersOptions) {
    this.#options = options;
  }

  /** Origins that are spared now. */
  get open(): number {
    return [...this.#breakers.values()].filter(({ open }) => open).length;
  }

  /** Makes a request, up to the head of its answer. Throws RegistryError `timeout` at once while the origin is spared. */
  async guard<T>({ origin, host }: Pick<URL, 'origin' | 'host'>, send: () => Promise<T>): Promise<T> {
    const { onSpared, openMs } = this.#options;
    if (this.#breakers.get(origin)?.admit() === false) {
      onSpared?.(origin);
      const message = `${host} did not answer several requests in a row, and is not asked for up to ${openMs} ms`;
      throw new RegistryError('timeout', message, { retryAfterMs: openMs });
    }
    try {
      const answer = await send();
      this.#breakers.delete(origin);
      return answer;
    } catch (error) {
      const code = error instanceof RegistryError ? error.code : undefined;
      if (code === 'timeout') this.#silent(origin);
      // Who gave up says nothing of whom it gave up on.
      else if (code !== 'aborted') this.#breakers.delete(origin);
      throw error;
    }
  }

  #silent(origin: string): void {
    if (this.#breakers.size >= REMEMBERED) this.#breakers.clear();
    const breaker = this.#breakers.get(origin) ?? new Breaker(this.#options);
    this.#breakers.set(origin, breaker);
    const before = breaker.open;
    breaker.failed();
    if (breaker.open && !before) this.#options.onOpen?.(origin);
  }
}
