import type { ImageRules } from './compile-rules.ts';
import { decideImage } from './decide-image.ts';
import type { Decision } from './decision.ts';

/** Longer texts are decided each time: a legal image has at most 255 + 128 + 140 characters. */
const KEY_MAX = 600;

/**
 * Remembers decisions by image and pull policy: one set of rules has one memo, and a cluster starts the same images again and
 * again. Bounded: the oldest goes when it is full.
 */
export class DecisionMemo {
  readonly #rules: ImageRules;
  readonly #prefixes: readonly string[];
  readonly #limit: number;
  readonly #known = new Map<string, Decision>();

  constructor(rules: ImageRules, prefixes: readonly string[], limit = 10_000) {
    this.#rules = rules;
    this.#prefixes = prefixes;
    this.#limit = limit;
  }

  get size(): number {
    return this.#known.size;
  }

  /** The same as `decideImage`. */
  decide(image: string, pullPolicy: string | undefined): Decision {
    const key = policyKey(pullPolicy) + image;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const decision = decideImage(image, pullPolicy, this.#rules, this.#prefixes);
    if (key.length > KEY_MAX) return decision;
    if (this.#known.size >= this.#limit) {
      const oldest = this.#known.keys().next();
      if (!oldest.done) this.#known.delete(oldest.value);
    }
    this.#known.set(key, decision);
    return decision;
  }
}

/** Of the policies these alone differ. Before the image: an image may be any text. */
function policyKey(pullPolicy: string | undefined): string {
  if (pullPolicy === 'Never') return 'never ';
  if (pullPolicy === 'Always') return 'always ';
  return pullPolicy === undefined || pullPolicy === '' ? 'unsaid ' : 'pulled ';
}
