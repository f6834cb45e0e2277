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

/** A source had no answer in time: nor will it have one for whatever else of the same group is asked now. */
export class NoAnswerInTime extends Error {}

/** For a source that may hang with one group of its questions while it answers others (a registry's, by its host). */
export interface TurnsOfGroups {
  /** Questions at once. */
  readonly atOnce: number;
  /** Those of one group; one of a group that did not answer yet, or not in time when it was asked last. */
  readonly ofGroup: number;
  /** A question that waited longer for its turn than this is not asked any more, ms. */
  readonly waitMs: number;
}

/** Remembers what a source gave and renews it in time (renewal.ts); everybody who asks meanwhile shares one question. */
export class RenewedLogins<L extends ProvidedLogin = ProvidedLogin> {
  readonly #known = new Map<string, Known<L>>();
  /** By the first key of what was asked for, or by its group when that had no answer in time. */
  readonly #failed = new Map<string, Failed>();
  readonly #asking = new Map<string, Promise<readonly L[]>>();
  /** Those of them that wait for their turn. */
  readonly #waiting = new Set<string>();
  /** Groups that had an answer when they were asked last, whatever it was. */
  readonly #answering = new Map<string, true>();
  readonly #now: () => number;
  readonly #turns: FewAtOnce | undefined;
  readonly #waitMs: number;

  /** `turns`; default: any number of questions at once. */
  constructor(now: () => number, turns?: TurnsOfGroups) {
    this.#now = now;
    this.#turns = turns && new FewAtOnce(turns.atOnce, (group) => (this.#answering.has(group) ? turns.ofGroup : 1));
    this.#waitMs = turns?.waitMs ?? Infinity;
  }

  /**
   * What is known under the first of `keys` that is, or what `ask` gives. The first key is the most specific one: questions are shared by it.
   * One that had to wait for its turn is not asked when another one's answer does by then, or when its group had none in time; nobody who knows
   * what is still of use waits with it. Throws what `ask` throws, and for want of a turn, when nothing known is still of use.
   */
  async get(
    keys: Keys,
    ask: () => Promise<Answered<L>>,
    { renew = false, group = keys[0] }: Asked = {},
  ): Promise<readonly L[]> {
    const now = this.#now();
    const known = this.#find(keys, now);
    const verdict = renewal(known, now, { forced: renew });
    if (!verdict.ask) return known!.logins;
    const old = verdict.fallBack ? known : undefined;
    const failed = this.#failure(keys[0], group, now);
    if (failed !== undefined) {
      if (old !== undefined) return old.logins;
      throw failed.error;
    }
    let asking = this.#asking.get(keys[0]);
    if (asking === undefined) {
      asking = this.#inTurn(keys, ask, { renew, group, old }).finally(() => this.#asking.delete(keys[0]));
      this.#asking.set(keys[0], asking);
    }
    if (old === undefined || !this.#waiting.has(keys[0])) return asking;
    asking.catch(() => undefined);
    return old.logins;
  }

  #find(keys: Keys, now: number): Known<L> | undefined {
    return keys.map((key) => this.#known.get(key)).find((entry) => entry !== undefined && now < entry.expiresAtMs);
  }

  #failure(key: string, group: string, now: number): Failed | undefined {
    return [key, group].map((of) => this.#failed.get(of)).find((one) => one !== undefined && now < one.untilMs);
  }

  async #inTurn(
    keys: Keys,
    ask: () => Promise<Answered<L>>,
    { renew, group, old }: { renew: boolean; group: string; old: Known<L> | undefined },
  ): Promise<readonly L[]> {
    const cameAtMs = this.#now();
    const turn = this.#turns?.enter(group);
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
        const silent = this.#failure(group, group, now);
        if (silent !== undefined || now - cameAtMs > this.#waitMs) {
          if (old !== undefined) return old.logins;
          if (silent !== undefined) throw silent.error;
          throw new Error(`no turn within ${this.#waitMs} ms`);
        }
      }
      return await this.#ask(keys[0], ask, group, old);
    } finally {
      this.#turns?.leave(group);
    }
  }

  async #ask(
    key: string,
    ask: () => Promise<Answered<L>>,
    group: string,
    old: Known<L> | undefined,
  ): Promise<readonly L[]> {
    const askedAtMs = this.#now();
    try {
      const answered = await ask();
      this.#failed.delete(key);
      this.#failed.delete(group);
      keep(this.#answering, group, true);
      keep(this.#known, answered.key, { ...answered, askedAtMs });
      return answered.logins;
    } catch (error) {
      const silent = error instanceof NoAnswerInTime;
      if (silent) this.#answering.delete(group);
      else keep(this.#answering, group, true);
      const patience = old === undefined ? FAILED_MS : (old.expiresAtMs - old.askedAtMs) / 10;
      keep(this.#failed, silent ? group : key, { error, untilMs: this.#now() + Math.min(FAILED_MS, patience) });
      if (old !== undefined) return old.logins;
      throw error;
    }
  }
}

type Keys = readonly [string, ...string[]];

interface Failed {
  readonly error: unknown;
  readonly untilMs: number;
}

interface Asked {
  /** The registry refused what was given last. */
  readonly renew?: boolean;
  /** What the question hangs with when its source hangs; default: nothing else. */
  readonly group?: string;
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > ENTRIES) map.delete(map.keys().next().value!);
}
