import type { ByteSink } from './port.ts';

/** Where the bytes of a body come from. */
export interface PumpSource {
  /** What waits; undefined when nothing does. Throws when nothing comes any more. */
  take(): Buffer | undefined;
  /** The sink is done with what was taken last. */
  release(): void;
  /** The next bytes are waited for: `drive` follows when they are there, or never will be. */
  lack(): void;
}

/**
 * Hands the bytes of a body on as they come and as the sink takes them, one chunk at a time: what the sink takes at once costs no promise. No
 * socket, no clock.
 */
export class BodyPump {
  /** Settled when the sink took all, or when the source or the sink failed. */
  readonly done: Promise<void>;
  /** Bytes that the sink took. */
  delivered = 0;
  readonly #length: number;
  readonly #sink: ByteSink;
  readonly #source: PumpSource;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #early: Buffer | undefined;
  /** The sink has a chunk, or the body is over. */
  #busy = false;

  /** `early`: the first bytes of `length`, which are not the source's. */
  constructor(length: number, early: Buffer, sink: ByteSink, source: PumpSource) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.done = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#length = length;
    this.#sink = sink;
    this.#source = source;
    this.#early = early.length === 0 ? undefined : early;
  }

  /** Hands on whatever there is, unless the sink is busy. */
  drive(): void {
    if (this.#busy) return;
    this.#busy = true;
    try {
      while (this.delivered < this.#length) {
        const chunk = this.#early ?? this.#source.take();
        if (chunk === undefined) {
          this.#busy = false;
          return this.#source.lack();
        }
        const accepted = this.#sink(chunk);
        if (accepted !== undefined) return void accepted.then(() => this.#accepted(chunk), this.#reject);
        this.#took(chunk);
      }
      this.#resolve();
    } catch (error) {
      this.#reject(error);
    }
  }

  #took(chunk: Buffer): void {
    this.delivered += chunk.length;
    if (this.#early === undefined) this.#source.release();
    else this.#early = undefined;
  }

  #accepted(chunk: Buffer): void {
    this.#took(chunk);
    this.#busy = false;
    this.drive();
  }
}
