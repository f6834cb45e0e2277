import { FewAtOnce } from '@kuik/runtime';
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

export interface RenewedLoginsOptions {
  /** Questions at once; default: any number. */
  readonly atOnce?: number;
  /** A question that waited longer for its turn than this is not asked any more, ms; default: it is. */
  readonly waitMs?: number;
}

/** Remembers what a source gave and renews it in time (renewal.ts); everybody who asks meanwhile shares one question. */
export class RenewedLogins<L extends ProvidedLogin = ProvidedLogin> {
  readonly #known = new Map<string, Known<L>>();
  readonly #failed = new Map<string, { readonly error: unknown; readonly untilMs: number }>();
  readonly #asking = new Map<string, Promise<readonly L[]>>();
  /** Those of them that wait for their turn. */
  readonly #waiting = new Set<string>();
  readonly #now: () => number;
  readonly #turns: FewAtOnce;
  readonly #waitMs: number;

  constructor(now: () => number, { atOnce = Infinity, waitMs = Infinity }: RenewedLoginsOptions = {}) {
    this.#now = now;
    this.#turns = new FewAtOnce(atOnce);
    this.#waitMs = waitMs;
  }

  /**
   * What is known under the first of `keys` that is, or what `ask` gives. The first key is the most specific one: questions are shared by it.
   * One that had to wait for its turn is not asked when another one's answer does by then; nobody who knows what is still of use waits with it.
   * Throws what `ask` throws, and for want of a turn, when nothing known is still of use.
   */
  async get(keys: Keys, ask: () => Promise<Answered<L>>, { renew = false }: Renew = {}): Promise<readonly L[]> {
    const now = this.#now();
    const known = this.#find(keys, now);
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
      asking = this.#inTurn(keys, ask, { renew, old }).finally(() => this.#asking.delete(keys[0]));
      this.#asking.set(keys[0], asking);
    }
    if (old === undefined || !this.#waiting.has(keys[0])) return asking;
    asking.catch(() => undefined);
    return old.logins;
  }

  #find(keys: Keys, now: number): Known<L> | undefined {
    return keys.map((key) => this.#known.get(key)).find((entry) => entry !== undefined && now < entry.expiresAtMs);
  }

  async #inTurn(
    keys: Keys,
    ask: () => Promise<Answered<L>>,
    { renew, old }: { renew: boolean; old: Known<L> | undefined },
  ): Promise<readonly L[]> {
    const cameAtMs = this.#now();
    const turn = this.#turns.enter();
    try {
      if (turn !== undefined) {
        this.#waiting.add(keys[0]);
        await turn;
        this.#waiting.delete(keys[0]);
        const now = this.#now();
        const known = this.#find(keys, now);
        // What was asked for since is not what the registry refused.
        const forced = renew && (known === undefined || known.askedAtMs < cameAtMs);
        const verdict = renewal(known, now, { forced });
        if (!verdict.ask) return known!.logins;
        old = verdict.fallBack ? known : undefined;
        if (now - cameAtMs > this.#waitMs) {
          if (old !== undefined) return old.logins;
          throw new Error(`no turn within ${this.#waitMs} ms`);
        }
      }
      return await this.#ask(keys[0], ask, old);
    } finally {
      this.#turns.leave();
    }
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

type Keys = readonly [string, ...string[]];

interface Renew {
  /** The registry refused what was given last. */
  readonly renew?: boolean;
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > ENTRIES) map.delete(map.keys().next().value!);
}
