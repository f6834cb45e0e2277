import type { ManifestHead, RegistryErrorCode } from '@kuik/registry';
import { UpstreamFailure } from './failure.ts';
import { WeightedLru } from './weighted-lru.ts';

/** Why upstream did not say what a tag names. */
export const CHECK_FAILURES = [
  'unreachable',
  'timeout',
  'rate-limited',
  'server-error',
  'refused',
  'not-found',
] as const;
export type CheckFailure = (typeof CHECK_FAILURES)[number];

const OF_CODE: Readonly<Partial<Record<RegistryErrorCode, CheckFailure>>> = {
  timeout: 'timeout',
  'rate-limited': 'rate-limited',
  'server-error': 'server-error',
  'method-not-allowed': 'server-error',
  'invalid-response': 'server-error',
  rejected: 'server-error',
  'too-large': 'server-error',
  'digest-mismatch': 'server-error',
  unauthorized: 'refused',
  forbidden: 'refused',
  'not-found': 'not-found',
};

/** What a failed check is called, for settings and metrics. */
export function checkFailureOf({ code }: Pick<UpstreamFailure, 'code'>): CheckFailure {
  return OF_CODE[code] ?? 'unreachable';
}

interface Answer {
  readonly head?: ManifestHead;
  readonly failure?: UpstreamFailure;
  readonly untilMs: number;
}

export interface TagChecksOptions {
  /** An answer counts at least this long, a failure exactly so. */
  readonly atMostEveryMs: number;
  readonly entries: number;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** What upstream said of tags lately, failures too: however many pods start, it is asked about a tag once in a while. */
export class TagChecks {
  readonly #options: TagChecksOptions;
  readonly #answers: WeightedLru<Answer>;
  readonly #asking = new Map<string, Promise<ManifestHead>>();

  constructor(options: TagChecksOptions) {
    this.#options = options;
    this.#answers = new WeightedLru(options.entries);
  }

  /** The digest that upstream named, while that counts. */
  known(tag: string): string | undefined {
    return this.#counting(tag)?.head?.digest;
  }

  /** What upstream says: what it said lately, or now; one question for all who ask meanwhile. Throws what `ask` throws, and a failure of a moment ago again. */
  async check(tag: string, everyMs: number, ask: () => Promise<ManifestHead>): Promise<ManifestHead> {
    const answer = this.#counting(tag);
    if (answer?.failure !== undefined) throw answer.failure;
    if (answer?.head !== undefined) return answer.head;
    let asking = this.#asking.get(tag);
    if (asking === undefined) {
      asking = this.#ask(tag, everyMs, ask).finally(() => this.#asking.delete(tag));
      this.#asking.set(tag, asking);
    }
    return asking;
  }

  async #ask(tag: string, everyMs: number, ask: () => Promise<ManifestHead>): Promise<ManifestHead> {
    const { atMostEveryMs, now } = this.#options;
    try {
      const head = await ask();
      this.#answers.set(tag, { head, untilMs: now() + Math.max(everyMs, atMostEveryMs) });
      return head;
    } catch (error) {
      if (error instanceof UpstreamFailure && error.code !== 'aborted') {
        this.#answers.set(tag, { failure: error, untilMs: now() + atMostEveryMs });
      }
      throw error;
    }
  }

  #counting(tag: string): Answer | undefined {
    const answer = this.#answers.get(tag);
    return answer !== undefined && this.#options.now() < answer.untilMs ? answer : undefined;
  }
}
