const MiB = 1024 * 1024;
const TRIM_AFTER_MS = 30_000;
/** Of a buffer that is not the pool's. */
const BEYOND_BYTES = 16 * 1024;
const BEYOND_KEPT = 256;

export interface BufferPoolOptions {
  /** Bytes that all streams together may hold. */
  totalBytes: number;
  maxBytes?: number;
  minBytes?: number;
}

/**
 * The size of the next buffer: the largest while little is in use, a quarter of it from half of the pool on, the smallest from
 * three quarters on. So few streams read in big steps and many still get one each. All arguments in bytes.
 */
export function bufferSize(usedBytes: number, totalBytes: number, maxBytes: number, minBytes: number): number {
  if (usedBytes + maxBytes <= totalBytes / 2) return maxBytes;
  if (usedBytes + maxBytes / 4 <= (totalBytes * 3) / 4) return Math.max(minBytes, maxBytes / 4);
  return minBytes;
}

/** Buffers shared by every stream of one process, within a fixed sum. Freed ones are kept for the next stream, and dropped when idle. */
export class BufferPool {
  readonly #total: number;
  readonly #max: number;
  readonly #min: number;
  readonly #free = new Map<number, Buffer[]>();
  readonly #waiting: { resolve: (buffer: Buffer) => void }[] = [];
  /** Freed ones that are beyond the sum. */
  #beyond: Buffer[] = [];
  #used = 0;
  #kept = 0;
  #trim: NodeJS.Timeout | undefined;

  constructor(options: BufferPoolOptions) {
    this.#max = options.maxBytes ?? MiB;
    this.#min = Math.min(options.minBytes ?? 64 * 1024, this.#max);
    this.#total = Math.max(options.totalBytes, this.#min);
  }

  get usedBytes(): number {
    return this.#used;
  }

  /** Bytes of used and kept buffers together. */
  get heldBytes(): number {
    return this.#used + this.#kept;
  }

  /** A buffer now, or undefined when the pool is used up. */
  tryAcquire(): Buffer | undefined {
    const size = bufferSize(this.#used, this.#total, this.#max, this.#min);
    if (this.#used + size > this.#total || this.#waiting.length > 0) return undefined;
    return this.#take(size);
  }

  /**
   * A buffer at once, for a stream that waits for nobody: some of those before it may be slow. When the pool is used up it is one beyond its sum,
   * so small that as many as there can be connections do no harm.
   */
  borrow(): Buffer {
    return this.tryAcquire() ?? this.#beyond.pop() ?? Buffer.allocUnsafeSlow(Math.min(BEYOND_BYTES, this.#min - 1));
  }

  /** One more for a stream that has one already; undefined when others may need it. */
  tryAnother(): Buffer | undefined {
    return this.#used < this.#total / 2 ? this.tryAcquire() : undefined;
  }

  /** A buffer, in the order of asking. Rejects with the signal's reason when it aborts first. */
  acquire(signal?: AbortSignal): Promise<Buffer> {
    const now = this.tryAcquire();
    if (now !== undefined) return Promise.resolve(now);
    return new Promise((resolve, reject) => {
      const waiter = {
        resolve: (buffer: Buffer) => {
          signal?.removeEventListener('abort', abort);
          resolve(buffer);
        },
      };
      const abort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
      };
      if (signal?.aborted === true) return abort();
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** Gives a buffer back; nothing may touch it afterwards. */
  release(buffer: Buffer): void {
    if (buffer.length < this.#min) {
      if (this.#beyond.length < BEYOND_KEPT) this.#beyond.push(buffer);
      return;
    }
    this.#used -= buffer.length;
    this.#kept += buffer.length;
    const list = this.#free.get(buffer.length);
    if (list === undefined) this.#free.set(buffer.length, [buffer]);
    else list.push(buffer);
    while (this.#waiting.length > 0) {
      const size = bufferSize(this.#used, this.#total, this.#max, this.#min);
      if (this.#used + size > this.#total) break;
      this.#waiting.shift()!.resolve(this.#take(size));
    }
    if (this.#used === 0) {
      this.#trim ??= setTimeout(() => this.#drop(Infinity), TRIM_AFTER_MS).unref();
    }
  }

  close(): void {
    clearTimeout(this.#trim);
    this.#drop(Infinity);
  }

  #take(size: number): Buffer {
    clearTimeout(this.#trim);
    this.#trim = undefined;
    const kept = this.#free.get(size)?.pop() ?? this.#larger(size);
    this.#used += kept?.length ?? size;
    if (kept !== undefined) {
      this.#kept -= kept.length;
      return kept;
    }
    // Kept buffers of another size count too: memory, not use, is what is bounded.
    this.#drop(this.#used + this.#kept - this.#total);
    return Buffer.allocUnsafeSlow(size);
  }

  /** A kept buffer that is larger than needed: it is there, and to drop it for a smaller one would leave both to the garbage collector. */
  #larger(size: number): Buffer | undefined {
    for (const [length, list] of this.#free) {
      if (length > size && list.length > 0 && this.#used + length <= this.#total) return list.pop();
    }
    return undefined;
  }

  #drop(bytes: number): void {
    if (bytes === Infinity) this.#beyond = [];
    for (const [size, list] of this.#free) {
      while (bytes > 0 && list.length > 0) {
        list.pop();
        this.#kept -= size;
        bytes -= size;
      }
    }
  }
}
