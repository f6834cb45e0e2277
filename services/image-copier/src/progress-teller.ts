import { isDeepStrictEqual } from 'node:util';
import { type CachedImage, type CacheStanza, stanzaOf } from '@kuik/contracts';
import type { Clock, Logger } from '@kuik/runtime';

/** How far a copy is. */
export interface CopyProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly step: string;
}

export interface ProgressTellerParts {
  read(name: string): Promise<CachedImage | undefined>;
  /** Applies `status.cache` and returns the resulting object, unless it is not the one of this resourceVersion any more: undefined then. */
  writeUnchanged(image: CachedImage, stanza: CacheStanza): Promise<CachedImage | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
  /** A copy that ends sooner is never told of: no call to the API server. ms. */
  readonly progressAfterMs: number;
  /** How often one that runs is told of, ms. */
  readonly progressEveryMs: number;
}

/** What was told last counts for so many times the pace: a worker that died is not believed for longer. */
const BELIEVED = 2.5;

/**
 * Tells the resource of one copy that takes longer than a moment: `status.cache.copying`, renewed while it runs. It never writes over what
 * somebody else has recorded since: each write stands on a fresh read, whose version is its precondition. What fails is left out: only
 * the result matters.
 */
export class ProgressTeller {
  readonly #parts: ProgressTellerParts;
  readonly #image: CachedImage;
  readonly #signal: AbortSignal;
  readonly #since: string;
  #known: CacheStanza | undefined;
  #progress: CopyProgress | undefined;
  #timer: NodeJS.Timeout | undefined;
  #telling: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(image: CachedImage, parts: ProgressTellerParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#image = image;
    this.#signal = signal;
    this.#since = new Date(parts.clock.now()).toISOString();
    this.#known = stanzaOf(image, 'cache');
    this.#tellIn(parts.progressAfterMs);
  }

  reached(progress: CopyProgress): void {
    this.#progress = progress;
  }

  /** Resolves when nothing is under way and nothing more will be told. Never throws. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#telling;
  }

  get #over(): boolean {
    return this.#stopped || this.#signal.aborted;
  }

  #tellIn(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#telling = this.#tell().then((nextInMs) => {
        if (nextInMs !== undefined && !this.#over) this.#tellIn(nextInMs);
      });
    }, ms);
  }

  /** Returns when to tell again; undefined: never. */
  async #tell(): Promise<number | undefined> {
    const { log, clock, progressAfterMs, progressEveryMs } = this.#parts;
    const { name, uid } = this.#image.metadata;
    try {
      const fresh = await this.#parts.read(name);
      if (fresh?.metadata.uid !== uid || this.#over) return undefined;
      // Another worker has our job, and has told its own truth.
      if (!isDeepStrictEqual(stanzaOf(fresh, 'cache'), this.#known)) return undefined;
      const stanza = this.#stanza(clock.now() + progressEveryMs * BELIEVED);
      if ((await this.#parts.writeUnchanged(fresh, stanza)) === undefined) return progressAfterMs;
      this.#known = stanza;
    } catch (error) {
      log.debug('progress not told', { error });
    }
    return progressEveryMs;
  }

  #stanza(until: number): CacheStanza {
    const { bytesDone, bytesTotal } = this.#progress ?? {};
    return {
      ...(this.#known ?? { forUid: this.#image.metadata.uid }),
      copying: {
        since: this.#since,
        until: new Date(until).toISOString(),
        ...(bytesDone === undefined ? {} : { bytesDone }),
        ...(bytesTotal === undefined ? {} : { bytesTotal }),
      },
    };
  }
}
