import { randomUUID } from 'node:crypto';
import { IMAGE_SERVED, type ImageServed, type MissingContent } from '@kuik/contracts';

type ServedImage = ImageServed['images'][number];
/** What is counted: a time becomes a text only when it is sent. */
type Tally = Omit<ServedImage, 'lastPulled'> & { lastPulledMs: number };

/** Messages hold this many images at most (each of the longest legal reference); as many messages may wait for NATS. */
const PER_MESSAGE = 500;
const WAITING_MAX = 20;

/** Counts what was served since the last report. Bounded: beyond that many images new ones are not counted (a hint, not a ledger). */
export class ServedTally {
  #images = new Map<string, Tally>();
  #sinceMs: number;
  /** What could not be sent the last time. */
  #missing: readonly MissingContent[] = [];
  /** Images that found no room. */
  dropped = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  add(reference: string, stale: boolean, nowMs: number): void {
    const image = this.#images.get(reference);
    if (image === undefined && this.#images.size >= PER_MESSAGE * WAITING_MAX) {
      this.dropped += 1;
      return;
    }
    if (image === undefined) {
      this.#images.set(reference, { reference, pulls: 1, stale: stale ? 1 : 0, lastPulledMs: nowMs });
      return;
    }
    image.pulls += 1;
    if (stale) image.stale += 1;
    image.lastPulledMs = nowMs;
  }

  /** What was counted, as messages, and a fresh start; `missing` goes with the first. */
  take(node: string, nowMs: number, missing: readonly MissingContent[] = []): ImageServed[] {
    const images = [...this.#images.values()].map(({ lastPulledMs, ...image }) => ({
      ...image,
      lastPulled: new Date(lastPulledMs).toISOString(),
    }));
    const since = new Date(this.#sinceMs).toISOString();
    this.#images = new Map();
    this.#sinceMs = nowMs;
    const messages: ImageServed[] = [];
    for (let at = 0; at < images.length; at += PER_MESSAGE) {
      messages.push({ node, since, images: images.slice(at, at + PER_MESSAGE) });
    }
    const [first = { node, since, images: [] }, ...rest] = messages;
    const told = missing.length > 0 ? [...missing] : [...this.#missing];
    this.#missing = [];
    return told.length === 0 ? messages : [{ ...first, missing: told }, ...rest];
  }

  /** Puts back what could not be sent. */
  putBack(message: ImageServed): void {
    this.#sinceMs = Math.min(this.#sinceMs, Date.parse(message.since));
    if (message.missing !== undefined) this.#missing = message.missing;
    for (const image of message.images) {
      const now = this.#images.get(image.reference);
      if (now === undefined && this.#images.size >= PER_MESSAGE * WAITING_MAX) {
        this.dropped += 1;
        continue;
      }
      this.#images.set(image.reference, {
        reference: image.reference,
        pulls: image.pulls + (now?.pulls ?? 0),
        stale: image.stale + (now?.stale ?? 0),
        lastPulledMs: now?.lastPulledMs ?? Date.parse(image.lastPulled),
      });
    }
  }
}

/** Where reports go: a durable stream. */
export interface ServedSink {
  publishDurable(
    stream: typeof IMAGE_SERVED,
    payload: ImageServed,
    options: { dedupId: string; timeoutMs: number },
  ): Promise<void>;
}

interface Sending {
  readonly message: ImageServed;
  readonly dedupId: string;
  /** Epoch ms. */
  readonly firstMs: number;
}

const TIMEOUT_MS = 2_000;
/** Of the time in which the stream knows a message again: later than this it is not trusted to. */
const KNOWN_AGAIN = 0.9;

/**
 * Sends what was counted; what NATS did not take is kept for the next time. A message whose acknowledgement did not come may be stored all the same: it goes again as it was, before
 * anything else, so that the stream knows it and its pulls count once.
 */
export class ServedReport {
  readonly #tally: ServedTally;
  readonly #sink: ServedSink;
  readonly #node: string;
  #unsure: Sending | undefined;

  constructor(tally: ServedTally, sink: ServedSink, node: string) {
    this.#tally = tally;
    this.#sink = sink;
    this.#node = node;
  }

  /** Throws the first failure, for the loop's metric. */
  async send(nowMs: number, missing: readonly MissingContent[] = []): Promise<void> {
    const again = this.#again(nowMs);
    const fresh = this.#tally.take(this.#node, nowMs, missing).map((message): Sending => ({
      message,
      dedupId: randomUUID(),
      firstMs: nowMs,
    }));
    let failure: { error: unknown } | undefined;
    for (const sending of [...again, ...fresh]) {
      const { message, dedupId } = sending;
      if (failure !== undefined) {
        this.#tally.putBack(message);
        continue;
      }
      try {
        await this.#sink.publishDurable(IMAGE_SERVED, message, { dedupId, timeoutMs: TIMEOUT_MS });
      } catch (error) {
        failure = { error };
        this.#unsure = sending;
      }
    }
    if (failure !== undefined) throw failure.error;
  }

  /** What has to go again as it was; too late for that it is counted with the rest. */
  #again(nowMs: number): Sending[] {
    const unsure = this.#unsure;
    this.#unsure = undefined;
    if (unsure === undefined) return [];
    if (nowMs - unsure.firstMs < IMAGE_SERVED.dedupMs * KNOWN_AGAIN) return [unsure];
    this.#tally.putBack(unsure.message);
    return [];
  }
}
