import type { ProvidedLogin } from './port.ts';
import { type Lifetime, renewal } from './renewal.ts';

/** What a source answered. */
export interface Answered<L extends ProvidedLogin = ProvidedLogin> {
  /** What it is remembered under. */
  readonly key: string;
  readonly logins: readonly L[];
  /** May be now: nothing is remembered then. */
  readonly expiresAtMs: number;
}

type Known<L> = Lifetime & { readonly logins: readonly L[] };

const ENTRIES = 2_000;
/** A source that failed is not asked again for so long, or for a tenth of the life of what is known. */
const FAILED_MS = 15_000;

/** Remembers what a source gave and renews it in time (renewal.ts); everybody who asks meanwhile shares one question. */
export class RenewedLogins<L extends ProvidedLogin = ProvidedLogin> {
  readonly #known = new Map<string, Known<L>>();
  readonly #failed = new Map<string, { readonly error: unknown; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<readonly L[]>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * What is known under the first of `keys` that is, or what `ask` gives. The first key is the most specific one: questions are shared by it.
   * Throws what `ask` throws, when nothing known is still of use.
   */
  async get(
    keys: readonly [string, ...string[]],
    ask: () => Promise<Answered<L>>,
    { renew = false }: { renew?: boolean } = {},
  ): Promise<readonly L[]> {
    const now = this.#now();
    const known = keys
      .map((key) => this.#known.get(key))
      .find((entry) => entry !== undefined && now < entry.expiresAtMs);
    const verdict = renewal(known, now, { forced: renew });
    if (!verdict.ask) return known!.logins;
    const old = verdict.fallBack ? known : undefined;
    const failed = this.#failed.get(keys[0]);
    if (failed !== undefined && now < failed.untilMs) {
      if (old !== undefined) return old.logins;
      throw failed.error;
    }
    let asking = this.#asking.get(keys[0]);
    if (asking === undefined) {
      asking = this.#ask(keys[0], ask, old).finally(() => this.#asking.delete(keys[0]));
      this.#asking.set(keys[0], asking);
    }
    return asking;
  }

  async #ask(key: string, ask: () => Promise<Answered<L>>, old: Known<L> | undefined): Promise<readonly L[]> {
    const askedAtMs = this.#now();
    try {
      const answered = await ask();
      this.#failed.delete(key);
      keep(this.#known, answered.key, { ...answered, askedAtMs });
      return answered.logins;
    } catch (error) {
      const patience = old === undefined ? FAILED_MS : (old.expiresAtMs - old.askedAtMs) / 10;
      keep(this.#failed, key, { error, untilMs: this.#now() + Math.min(FAILED_MS, patience) });
      if (old !== undefined) return old.logins;
      throw error;
    }
  }
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > ENTRIES) map.delete(map.keys().next().value!);
}
