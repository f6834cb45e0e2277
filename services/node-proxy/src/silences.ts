import { UpstreamFailure } from './failure.ts';
import { type CheckFailure, checkFailureOf } from './tag-checks.ts';
import { WeightedLru } from './weighted-lru.ts';

const REMEMBERED = 5_000;

export interface SilencesOptions {
  readonly silentMs: number;
  /** Failures of a check that what is kept may not be served for. */
  readonly strict: ReadonlySet<CheckFailure>;
  /** Epoch ms. */
  readonly now: () => number;
}

/** How somebody had no answer, and until when that counts. */
export interface Silence {
  readonly untilMs: number;
  readonly failure: CheckFailure;
}

/** Who had no answer a moment ago: hosts, and manifests (`<host> <digest>`). Bounded. */
export class Silences {
  readonly #options: SilencesOptions;
  readonly #silent = new WeightedLru<Silence>(REMEMBERED);

  constructor(options: SilencesOptions) {
    this.#options = options;
  }

  note(of: string, failure: CheckFailure): void {
    const { silentMs, now } = this.#options;
    this.#silent.set(of, { untilMs: now() + silentMs, failure });
  }

  /** Passes over what is no silence. */
  noteError(of: string, error: unknown): void {
    if (!(error instanceof UpstreamFailure) || (error.code !== 'timeout' && error.code !== 'refused')) return;
    this.note(of, checkFailureOf(error));
  }

  /** Undefined also when what is kept may not be served for that reason. */
  of(of: string, isChecked: boolean): Silence | undefined {
    const silence = this.#silent.get(of);
    if (silence === undefined || silence.untilMs <= this.#options.now()) return undefined;
    return isChecked && this.#options.strict.has(silence.failure) ? undefined : silence;
  }

  /** It answered. */
  end(of: string): void {
    this.#silent.delete(of);
  }
}
