import { WeightedLru } from './weighted-lru.ts';

/**
 * A node keeps what it pulled. One that wants a whole blob again so soon after it got it whole may have found its bytes wrong: a runtime compares
 * them with their digest, and kubelet tries again, with ever longer pauses of up to five minutes.
 */
export const SOON_MS = 10 * 60_000;
/** Bytes that were right are believed for this long: whatever pulls one blob over and over is not hashed each time. */
export const RIGHT_FOR_MS = 3_600_000;
/** Wrong ones are passed over for this long. Then they are looked at again, as they are delivered: somebody may have mended them. */
export const WRONG_FOR_MS = 3_600_000;

/** How a blob of the cache is served: as it is, hashed on its way, or not at all. */
export type Trust = 'trusted' | 'doubted' | 'wrong';

/** What is known of one blob's bytes in the cache; times in monotonic ms. */
export interface BlobPast {
  /** When it was last delivered whole. */
  readonly deliveredMs?: number;
  /** When its bytes were last found right. */
  readonly rightMs?: number;
  /** When they were last found wrong, and not right since. */
  readonly wrongMs?: number;
}

/**
 * Whether the cache's bytes of a blob are served unseen. In this order: found wrong lately: not at all; found wrong before that: hashed; found right
 * lately: as they are; delivered whole a moment ago: hashed, since that was not enough. Anything else: as they are, they were hashed when they were stored.
 */
export function trustOf({ deliveredMs, rightMs, wrongMs }: BlobPast, now: number): Trust {
  const within = (atMs: number | undefined, forMs: number): boolean => atMs !== undefined && now - atMs <= forMs;
  if (within(wrongMs, WRONG_FOR_MS)) return 'wrong';
  if (wrongMs !== undefined) return 'doubted';
  if (within(rightMs, RIGHT_FOR_MS)) return 'trusted';
  return within(deliveredMs, SOON_MS) ? 'doubted' : 'trusted';
}

/** More than a node pulls in ten minutes. */
const REMEMBERED = 5_000;

/** What this proxy knows of the cache's blobs, by digest: the cache keeps each once, under whatever name it is asked for. */
export class BlobTrust {
  readonly #now: () => number;
  readonly #pasts = new WeightedLru<BlobPast>(REMEMBERED);
  /** Being hashed. */
  readonly #hashing = new Set<string>();

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** One delivery that is hashed tells: whoever asks meanwhile is served as before. */
  of(digest: string): Trust {
    const past = this.#pasts.get(digest);
    if (past === undefined) return 'trusted';
    const trust = trustOf(past, this.#now());
    if (trust !== 'doubted' || !this.#hashing.has(digest)) return trust;
    return past.wrongMs === undefined ? 'trusted' : 'wrong';
  }

  /** A delivery of it is hashed from now on; to be called back when that has ended, however it did. */
  hashing(digest: string): () => void {
    this.#hashing.add(digest);
    return () => void this.#hashing.delete(digest);
  }

  /** It was delivered whole from the cache; `hashed`: and its bytes are right. */
  delivered(digest: string, hashed: boolean): void {
    const deliveredMs = this.#now();
    const { rightMs } = this.#pasts.get(digest) ?? {};
    const right = hashed ? deliveredMs : rightMs;
    this.#pasts.set(digest, { deliveredMs, ...(right === undefined ? {} : { rightMs: right }) });
  }

  /** Its bytes in the cache are not what the digest says. */
  wrong(digest: string): void {
    this.#pasts.set(digest, { wrongMs: this.#now() });
  }
}
