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
  /** What was kept under the tag when upstream was asked. */
  readonly kept: string | undefined;
  readonly head?: ManifestHead;
  readonly failure?: UpstreamFailure;
  readonly untilMs: number;
}

/** However long upstream says that it limits us: whether it still does is looked at this often. */
const LIMITED_MAX_MS = 60_000;

export interface TagChecksOptions {
  /** An answer counts at least this long, a failure exactly so, unless upstream names a later time. */
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

  /** The digest that upstream named, while that counts; `kept`: what the cache keeps under the tag now. */
  known(tag: string, kept: string | undefined): string | undefined {
    return this.#counting(tag, kept)?.head?.digest;
  }

  /** What upstream says: what it said lately, or now; one question for all who ask meanwhile. Throws what `ask` throws, and a failure of a moment ago again. */
  async check(
    tag: string,
    kept: string | undefined,
    everyMs: number,
    ask: () => Promise<ManifestHead>,
  ): Promise<ManifestHead> {
    const answer = this.#counting(tag, kept);
    if (answer?.failure !== undefined) throw answer.failure;
    if (answer?.head !== undefined) return answer.head;
    let asking = this.#asking.get(tag);
    if (asking === undefined) {
      asking = this.#ask(tag, kept, everyMs, ask).finally(() => this.#asking.delete(tag));
      this.#asking.set(tag, asking);
    }
    return asking;
  }

  async #ask(
    tag: string,
    kept: string | undefined,
    everyMs: number,
    ask: () => Promise<ManifestHead>,
  ): Promise<ManifestHead> {
    const { atMostEveryMs, now } = this.#options;
    try {
      const head = await ask();
      this.#answers.set(tag, { kept, head, untilMs: now() + Math.max(everyMs, atMostEveryMs) });
      return head;
    } catch (error) {
      if (error instanceof UpstreamFailure && error.code !== 'aborted') {
        const limitedMs = error.code === 'rate-limited' ? Math.min(error.retryAfterMs ?? 0, LIMITED_MAX_MS) : 0;
        this.#answers.set(tag, { kept, failure: error, untilMs: now() + Math.max(atMostEveryMs, limitedMs) });
      }
      throw error;
    }
  }

  #counting(tag: string, kept: string | undefined): Answer | undefined {
    const answer = this.#answers.get(tag);
    if (answer === undefined || this.#options.now() >= answer.untilMs) return undefined;
    // What the cache took in since was read later than this answer.
    const overtaken = answer.head !== undefined && kept !== answer.kept && kept !== answer.head.digest;
    return overtaken ? undefined : answer;
  }
}
