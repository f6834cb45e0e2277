import { setTimeout as sleep } from 'node:timers/promises';
import { abortedError, RegistryError } from './errors.ts';
import { DigestGate, passOn } from './verify.ts';
import { openBlobOver } from './open-blob.ts';
import type { ByteSink, OpenBlob, RepositoryClient } from './port.ts';

/** Fewer bytes than this between two failures are no progress: a peer that cuts after every few bytes is given up. */
const PROGRESS_BYTES = 64 * 1024;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A server that wants longer than this is the caller's to come back to. */
const WAIT_MAX_MS = 10_000;

/** One place that has a blob. */
export interface BlobSource {
  /** For logs and metrics: `cache`, `upstream`. */
  readonly name: string;
  open(request: { offset: number; end?: number; signal?: AbortSignal }): Promise<OpenBlob>;
}

export interface ResumeOptions {
  /** In order of preference. */
  sources: readonly BlobSource[];
  digest: string;
  offset?: number;
  /** Last byte, inclusive. */
  end?: number;
  /** Hash a whole body over all its sources and hold its last chunk back until the digest agrees. Default true. */
  verify?: boolean;
  /** Continues a hash over several calls: bytes that it has seen are not hashed again, nor are those of a source that vouches for them. Used instead of `verify`. */
  gate?: DigestGate;
  /** Rounds over all sources without progress, once something was delivered, before it is given up. Default 3. */
  rounds?: number;
  signal?: AbortSignal;
  /** A source broke while it was read (`inBody`), or did not open; `next` is where it goes on. */
  onSwitch?: (info: {
    from: BlobSource;
    next: BlobSource;
    atByte: number;
    error: RegistryError;
    inBody: boolean;
  }) => void;
}

/** A source that is open already, at the offset that is wanted: it is read first. */
export interface Opened {
  readonly source: BlobSource;
  readonly blob: OpenBlob;
}

/** A source over one repository of one registry. `verify` is off: who resumes hashes over all sources. */
export function blobSource(name: string, client: RepositoryClient, digest: string, size?: number): BlobSource {
  const known = size === undefined ? {} : { size };
  return { name, open: (request) => client.openBlob(digest, { ...request, ...known, verify: false }) };
}

/**
 * Opens a blob from the first source that has it. When that one breaks in mid-body, delivery goes on at the byte reached: once more
 * from the same source if it had delivered something and did not just fall silent, else from the next, with a back-off after each round
 * without progress. Throws the last
 * source's RegistryError when none is left, `digest-mismatch` for a wrong whole, or the sink's own error, which never makes it resume.
 */
export async function openResuming(options: ResumeOptions): Promise<OpenBlob> {
  const reader = new ResumingReader(options);
  return resumed(reader, options, await reader.open());
}

/** The same for a blob that is open already. */
export function resuming(options: ResumeOptions, opened: Opened): OpenBlob {
  return resumed(new ResumingReader(options, opened), options, opened.blob);
}

function resumed(reader: ResumingReader, options: ResumeOptions, first: OpenBlob): OpenBlob {
  return openBlobOver({
    totalSize: first.totalSize,
    offset: first.offset,
    length: first.length,
    contentType: first.contentType,
    pump: (sink, signal) => reader.deliver(sink, signal ?? options.signal),
    cancel: () => first.cancel(),
  });
}

class SinkFailed extends Error {}

class ResumingReader {
  readonly #options: ResumeOptions;
  #index = 0;
  #round = 0;
  /** Some source of this round may answer better later. */
  #hopeful = false;
  /** Some source had wrong bytes: worth telling more than that the others have none. */
  #mismatch: RegistryError | undefined;
  #current: OpenBlob | undefined;
  #first: OpenBlob | undefined;
  /** Next byte to deliver. */
  #at: number;

  constructor(options: ResumeOptions, opened?: Opened) {
    this.#options = options;
    this.#at = options.offset ?? 0;
    this.#first = this.#current = opened?.blob;
    this.#index = opened === undefined ? 0 : Math.max(0, options.sources.indexOf(opened.source));
    if (options.sources.length === 0) throw new RegistryError('not-found', `no source for blob ${options.digest}`);
  }

  get source(): string {
    return this.#options.sources[this.#index]!.name;
  }

  /** Opens at the byte reached, going through the sources. */
  async open(signal = this.#options.signal): Promise<OpenBlob> {
    for (;;) {
      try {
        const { end } = this.#options;
        const blob = await this.#options.sources[this.#index]!.open({
          offset: this.#at,
          ...(end === undefined ? {} : { end }),
          ...(signal === undefined ? {} : { signal }),
        });
        this.#agree(blob);
        this.#first ??= blob;
        this.#current = blob;
        return blob;
      } catch (error) {
        await this.#moveOn(asRegistryError(error), signal, { inBody: false, delivered: false, progressed: false });
      }
    }
  }

  async deliver(sink: ByteSink, signal?: AbortSignal): Promise<void> {
    const first = this.#first!;
    const stop = first.offset + first.length;
    let gate = this.#gate(first);
    if (first.length === 0) this.#current!.cancel();
    while (this.#at < stop) {
      const blob = this.#current ?? (await this.open(signal));
      this.#current = undefined;
      const from = this.#at;
      let failure: { error: unknown } | undefined;
      try {
        const failed = (error: unknown): never => {
          failure = { error };
          throw new SinkFailed('the sink failed', { cause: error });
        };
        const taking: ByteSink = (chunk) => {
          try {
            return sink(chunk);
          } catch (error) {
            return failed(error);
          }
        };
        const judge = blob.vouched === true ? undefined : gate;
        await blob.deliver((chunk) => {
          if (blob.vouched === true) gate?.trust();
          const accepted = judge === undefined ? taking(chunk) : passOn(judge, chunk, this.#at, taking);
          if (accepted === undefined) return void (this.#at += chunk.length);
          return accepted.then(() => void (this.#at += chunk.length), failed);
        }, signal);
        if (this.#at < stop)
          throw new RegistryError('truncated', `${this.source} ended at byte ${this.#at} of ${stop}`);
      } catch (error) {
        if (failure !== undefined) throw failure.error;
        const problem = asRegistryError(error);
        if (problem.code === 'digest-mismatch') {
          // Nothing was delivered yet: another source may have the right bytes.
          const again =
            this.#at === first.offset && this.#options.gate === undefined && this.#options.sources.length > 1;
          if (!again)
            throw new RegistryError(problem.code, problem.message, {
              cause: problem,
              bytesDelivered: this.#at - first.offset,
            });
          this.#mismatch = problem;
          gate = this.#gate(first);
        }
        const moved = this.#at - from;
        await this.#moveOn(problem, signal, {
          inBody: true,
          delivered: moved > 0,
          progressed: moved >= PROGRESS_BYTES,
        });
      }
    }
  }

  #gate(first: OpenBlob): DigestGate | undefined {
    const { gate, verify, digest } = this.#options;
    if (gate !== undefined) return gate;
    const whole = first.offset === 0 && first.length === first.totalSize;
    return verify === false || !whole ? undefined : new DigestGate(digest, first.totalSize);
  }

  /** Two sources that disagree on the size do not hold the same blob. */
  #agree(blob: OpenBlob): void {
    if (this.#first === undefined) return;
    const stop = this.#first.offset + this.#first.length;
    if (blob.totalSize === this.#first.totalSize && blob.offset === this.#at && blob.offset + blob.length === stop)
      return;
    blob.cancel();
    throw new RegistryError(
      'invalid-response',
      `${this.source} has ${blob.totalSize} bytes of ${this.#options.digest} instead of ${this.#first.totalSize}`,
    );
  }

  /** Chooses where to go on after `error`, waiting after each round over all sources; throws it when there is no hope left. */
  async #moveOn(error: RegistryError, signal: AbortSignal | undefined, step: Step): Promise<void> {
    if (signal?.aborted === true) throw abortedError(`reading ${this.#options.digest}`, signal);
    const { sources, rounds = 3, onSwitch } = this.#options;
    const from = this.#index;
    if (step.progressed) this.#round = 0;
    this.#hopeful ||= error.retry;
    // A source that worked until now is asked once more; one that does not even open, or that fell silent, is left.
    const stays = step.delivered && error.retry && error.code !== 'timeout';
    if (!stays) this.#index = (from + 1) % sources.length;
    if (stays ? !step.progressed : this.#index === 0) {
      this.#round += 1;
      // Before the first byte the caller can still answer for itself: one round, no waiting.
      const limit = this.#first === undefined ? 1 : rounds;
      const waitMs = Math.max(error.retryAfterMs ?? 0, backoff(this.#round));
      if (this.#round >= limit || !this.#hopeful || waitMs > WAIT_MAX_MS) {
        this.#index = from;
        throw this.#mismatch ?? error;
      }
      this.#hopeful = false;
      await sleep(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => {
        throw abortedError(`reading ${this.#options.digest}`, signal);
      });
    }
    onSwitch?.({ from: sources[from]!, next: sources[this.#index]!, atByte: this.#at, error, inBody: step.inBody });
  }
}

interface Step {
  /** It was being read; else it did not open. */
  inBody: boolean;
  /** The source had delivered something since it was opened, and enough of it to call it progress. */
  delivered: boolean;
  progressed: boolean;
}

/** Exponential with equal jitter, in ms. */
function backoff(round: number): number {
  return Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** round) * (0.5 + Math.random() / 2);
}

function asRegistryError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error;
  throw error;
}
