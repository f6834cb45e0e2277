import { decide, type Decision } from './decide.ts';
import type { Rules } from './rules.ts';

/** Longer texts are decided each time: a legal image has at most 255 + 128 + 140 characters. */
const KEY_MAX = 600;

/**
 * Remembers decisions by image and pull policy: rules do not change while the process runs, and a cluster starts the same
 * images again and again. Bounded: the oldest goes when it is full.
 */
export class DecisionMemo {
  readonly #rules: Rules;
  readonly #prefixes: readonly string[];
  readonly #limit: number;
  readonly #known = new Map<string, Decision>();

  constructor(rules: Rules, prefixes: readonly string[], limit = 10_000) {
    this.#rules = rules;
    this.#prefixes = prefixes;
    this.#limit = limit;
  }

  get size(): number {
    return this.#known.size;
  }

  /** The same as `decide`. */
  decide(image: string, pullPolicy: string | undefined): Decision {
    // Only this one policy matters. Before the image: an image may be any text.
    const key = (pullPolicy === 'Never' ? 'never ' : 'pulled ') + image;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const decision = decide(image, pullPolicy, this.#rules, this.#prefixes);
    if (key.length > KEY_MAX) return decision;
    if (this.#known.size >= this.#limit) {
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    this.#known.set(key, decision);
    return decision;
  }
}
