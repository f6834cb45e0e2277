import { randomBytes } from 'node:crypto';
import { backoffMs, DEFAULT_BACKOFF } from './backoff.ts';
import { EventFold, type FoldedEvent } from './event-fold.ts';
import { eventNamespace, eventObject, noteOf, series } from './event-object.ts';
import { isKubeError, KubeError } from './kube-error.ts';
import { pause } from './pause.ts';
import type { EventRecorder, EventRecorderOptions, KubeObject } from './port.ts';
import { EVENTS } from './resources.ts';

const ATTEMPTS = 5;
const FLUSH_MS = 5_000;
/** Thousands of images may be copied at once. An event that waits takes about 1 KiB, at most 2; they are written one after another. */
const MAX_PENDING = 8_192;
const MAX_KNOWN = 1_024;
/** As long as the server keeps an event that is not written again. */
const WINDOW_MS = 3_600_000;
const HOLD_MAX_MS = 60_000;
const HOLD_LOOK_MS = 500;

/** Records events on objects, in the background. The Role needs create and patch on events.events.k8s.io. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new FoldingRecorder(options);
}

class FoldingRecorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #fold: EventFold;
  readonly #stopping = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;
  #flushing = false;
  /** A warning waits. */
  #urgent = false;
  /** Since when something else came first (monotonic ms). */
  #heldSince: number | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#fold = new EventFold({
      windowMs: options.windowMs ?? WINDOW_MS,
      maxPending: options.maxPending ?? MAX_PENDING,
      maxKnown: MAX_KNOWN,
    });
  }

  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    if (this.#closed) return;
    if (!this.#fold.add({ object, type, reason, message: noteOf(message) }, performance.now(), new Date())) {
      const what = `event ${reason} on ${object.metadata.name}`;
      this.#failed(new KubeError('unavailable', `dropped ${what}: ${this.#fold.waiting} others wait to be written`));
      return;
    }
    this.#urgent ||= type === 'Warning';
    this.#sendIn(this.#options.delayMs ?? 1_000);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing = true;
    const enough = new AbortController();
    const drained = (async () => {
      while ((this.#fold.waiting > 0 || this.#sending !== undefined) && !enough.signal.aborted) await this.#send();
    })();
    await Promise.race([drained, pause(FLUSH_MS, enough.signal)]);
    enough.abort();
    this.#flushing = false;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.flush();
    this.#stopping.abort();
    await this.#sending;
  }

  #sendIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#send();
    }, ms);
  }

  /** Whether events wait for something else now. */
  #holds(): boolean {
    const wanted = !this.#flushing && !this.#urgent && this.#options.holds?.() === true;
    if (!wanted) this.#heldSince = undefined;
    else this.#heldSince ??= performance.now();
    return this.#heldSince !== undefined && performance.now() - this.#heldSince < HOLD_MAX_MS;
  }

  /** Writes all that waits; one such loop at a time. */
  #send(): Promise<void> {
    this.#sending ??= this.#drain().finally(() => (this.#sending = undefined));
    return this.#sending;
  }

  async #drain(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; this.#fold.waiting > 0 && !signal.aborted;) {
      if (this.#holds()) return this.#sendIn(HOLD_LOOK_MS);
      let failed: KubeError | undefined;
      for (const event of this.#fold.take()) {
        if (failed !== undefined || signal.aborted || this.#holds()) {
          this.#fold.again(event);
          continue;
        }
        failed = await this.#writeOnce(event, signal);
      }
      failures = failed === undefined ? 0 : failures + 1;
      if (failures > 0) await pause(backoffMs(failures, DEFAULT_BACKOFF, Math.random(), failed?.retryAfterMs), signal);
    }
    this.#urgent = false;
  }

  /** Returns the error when the event waits for another attempt. */
  async #writeOnce(event: FoldedEvent, signal: AbortSignal): Promise<KubeError | undefined> {
    try {
      await this.#write(event, signal);
      event.attempts = 0;
      return undefined;
    } catch (error) {
      const again = isKubeError(error) && error.retry && ++event.attempts < ATTEMPTS;
      if (!again) {
        this.#failed(error);
        return undefined;
      }
      this.#fold.again(event);
      return error;
    }
  }

  async #write(event: FoldedEvent, signal: AbortSignal): Promise<void> {
    const { client, controller, instance } = this.#options;
    const namespace = eventNamespace(event);
    if (event.written !== undefined) {
      try {
        await client.mergePatch(EVENTS, { name: event.written, namespace }, { series: series(event) }, { signal });
        return;
      } catch (error) {
        // The server keeps events for an hour.
        if (!isKubeError(error, 'not-found')) throw error;
      }
    }
    const body = eventObject(event, { controller, instance }, randomBytes(8).toString('hex'));
    const made = await client.create(EVENTS, body, { namespace, signal });
    event.written = made.metadata.name;
  }

  #failed(error: unknown): void {
    try {
      this.#options.onError?.(error);
    } catch {
      // A recorder never throws, nor does its listener through it.
    }
  }
}
