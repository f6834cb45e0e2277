import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Verdict } from './decide.ts';

export interface BodyFaults extends Pick<Verdict['slots'], 'end' | 'pace' | 'bytes'> {
  readonly hold?: { readonly afterBytes: number; readonly released: () => Promise<void> };
}

/** Thrown by `write` when a fault ended the body: nothing more is to be read from the registry. */
export class BodyEnded extends Error {
  readonly outcome: 'cut' | 'aborted';

  constructor(outcome: 'cut' | 'aborted') {
    super(outcome === 'cut' ? 'the body was cut on purpose' : 'the client left');
    this.outcome = outcome;
  }
}

const TICKS_PER_SECOND = 50;

/** Sends a body to the client with what is to go wrong: one wrong byte, a drip, where it is held up, and where it stops. */
export class BodyWriter {
  readonly #response: ServerResponse;
  readonly #faults: BodyFaults;
  readonly #sent: (bytes: number) => void;
  readonly #gone: AbortSignal;
  #position = 0;
  #released = false;

  /**
   * @param gone fires when the client's connection is gone
   * @param sent hears how many bytes went to the socket
   */
  constructor(response: ServerResponse, faults: BodyFaults, gone: AbortSignal, sent: (bytes: number) => void) {
    this.#response = response;
    this.#faults = faults;
    this.#gone = gone;
    this.#sent = sent;
  }

  /** Resolves when the chunk may be used again. Rejects with BodyEnded when the body is over before its end. */
  async write(chunk: Buffer): Promise<void> {
    const { end, pace, bytes } = this.#faults;
    if (bytes !== undefined) flip(chunk, (bytes.atByte ?? 0) - this.#position);
    const limit = end === undefined ? Infinity : (end.do === 'cut' ? end.atByte : end.afterBytes) - this.#position;
    const part = limit < chunk.length ? chunk.subarray(0, Math.max(0, limit)) : chunk;
    const held = await this.#heldOf(part);
    if (pace === undefined) await this.#send(held);
    else await this.#drip(held, pace.bytesPerSecond);
    if (limit > chunk.length || end === undefined) return;
    if (end.do === 'cut') {
      this.#response.socket?.destroySoon();
      throw new BodyEnded('cut');
    }
    if (!this.#gone.aborted)
      await new Promise((resolve) => this.#gone.addEventListener('abort', resolve, { once: true }));
    throw new BodyEnded('aborted');
  }

  /** What is left of a chunk when it may go on. */
  async #heldOf(chunk: Buffer): Promise<Buffer> {
    const { hold } = this.#faults;
    const free = (hold?.afterBytes ?? Infinity) - this.#position;
    if (hold === undefined || this.#released || free >= chunk.length) return chunk;
    await this.#send(chunk.subarray(0, free));
    await hold.released();
    this.#released = true;
    return chunk.subarray(free);
  }

  async #drip(chunk: Buffer, bytesPerSecond: number): Promise<void> {
    const step = Math.max(1, Math.floor(bytesPerSecond / TICKS_PER_SECOND));
    for (let from = 0; from < chunk.length; from += step) {
      const part = chunk.subarray(from, from + step);
      await this.#send(part);
      await sleep((part.length / bytesPerSecond) * 1000, undefined, { signal: this.#gone }).catch(() => {
        throw new BodyEnded('aborted');
      });
    }
  }

  #send(chunk: Buffer): Promise<void> {
    if (this.#gone.aborted) return Promise.reject(new BodyEnded('aborted'));
    if (chunk.length === 0) {
      this.#response.flushHeaders();
      return Promise.resolve();
    }
    this.#position += chunk.length;
    return new Promise((resolve, reject) => {
      const onGone = (): void => {
        reject(new BodyEnded('aborted'));
      };
      this.#gone.addEventListener('abort', onGone, { once: true });
      this.#response.write(chunk, (error) => {
        this.#gone.removeEventListener('abort', onGone);
        if (error) {
          reject(new BodyEnded('aborted'));
          return;
        }
        this.#sent(chunk.length);
        resolve();
      });
    });
  }
}

function flip(chunk: Buffer, at: number): void {
  const byte = chunk[at];
  if (byte !== undefined) chunk[at] = byte ^ 0xff;
}
