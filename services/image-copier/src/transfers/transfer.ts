import {
  openBlobOver,
  openResuming,
  RegistryError,
  type BlobSource,
  type BufferPool,
  type OpenBlob,
} from '@kuik/registry';
import { nextRead, readAhead, willBeWhole, type Reading } from './next-read.ts';
import { RunningDigest } from './running-digest.ts';
import type { SpoolFile } from './spool-file.ts';
import type { Span } from './span-set.ts';

/** So much is given to nobody before the digest of the whole agrees, while the whole will be known. */
const HELD_BACK = 64 * 1024;
/** Rounds of an upstream read without progress before its readers are told. */
const ROUNDS = 3;

export interface TransferParts {
  readonly digest: string;
  readonly spool: SpoolFile;
  readonly buffers: BufferPool;
  /** Some sources have parts of it only, others at other times: each is asked again for every piece. */
  readonly patchy?: boolean;
  /** Bytes that came from a source. */
  readonly onBytes: (from: string, bytes: number) => void;
  /** The spool file holds bytes up to this one, with holes perhaps. */
  readonly onReached: (upTo: number) => void;
  /** The disk did not take what was read: nothing more of it can be shared. */
  readonly onUnkept: (error: unknown) => void;
  /** Nobody reads any more. */
  readonly onIdle: () => void;
}

/** What one reader wants. */
export interface WantedBytes {
  readonly offset?: number | undefined;
  /** Last byte, inclusive. */
  readonly end?: number | undefined;
  /** The reader may leave after a piece, and come for others. */
  readonly pieces?: boolean | undefined;
}

/** A read of a source; it may be told to end earlier than was asked of the source. */
interface ActiveRead extends Reading {
  at: number;
  to: number;
  readonly asked: number;
  readonly stop: AbortController;
}

/**
 * One blob, read from its sources once and from its spool file by everybody: see docs/transfers.md. Which bytes are read next is decided by
 * `nextRead`; this is the loop around it.
 */
export class Transfer {
  readonly #parts: TransferParts;
  readonly #sources: BlobSource[] = [];
  readonly #reads = new Set<ActiveRead>();
  readonly #waiting = new Set<() => void>();
  readonly #digest: RunningDigest;
  #readers = 0;
  /** Those of them who may leave after a piece. */
  #fetchingPieces = 0;
  /** Reads that failed, and how the last one did. */
  #failures = 0;
  #failure: RegistryError | undefined;
  #ended: RegistryError | undefined;
  #unkept = false;

  constructor(parts: TransferParts) {
    this.#parts = parts;
    this.#digest = new RunningDigest({
      digest: parts.digest,
      spool: parts.spool,
      onWrong: (why) => this.end(why),
      onProgress: () => this.#wake(),
    });
    if (this.size === 0) this.#digest.goOn();
  }

  get size(): number {
    return this.#parts.spool.size;
  }

  get readers(): number {
    return this.#readers;
  }

  /** The digest of the whole agreed. */
  get verified(): boolean {
    return this.#digest.verified;
  }

  /** The disk did not take what was read: the file gives back its room. */
  get unkept(): boolean {
    return this.#unkept;
  }

  /** Why nothing more comes; undefined while it is alive. */
  get ended(): RegistryError | undefined {
    return this.#ended;
  }

  /** Another place to read from, told apart by name. */
  addSource(source: BlobSource): void {
    if (!this.#sources.some(({ name }) => name === source.name)) this.#sources.push(source);
  }

  /** Takes over a read that is open already: what proved the first reader. */
  adopt(blob: OpenBlob, name: string): void {
    const read = this.#begin({ from: blob.offset, to: blob.offset + blob.length });
    void this.#run(
      read,
      (sink, signal) => blob.deliver(sink, signal),
      () => name,
    );
  }

  /**
   * Bytes for one more reader, who counts until it was delivered or cancelled. Throws RegistryError
   * `range-not-satisfiable`; delivery throws why it cannot go on.
   */
  read({ offset = 0, end, pieces = false }: WantedBytes): OpenBlob {
    const { size } = this;
    if (offset > 0 && offset >= size) {
      const message = `blob ${this.#parts.digest} has ${size} bytes, asked from ${offset}`;
      throw new RegistryError('range-not-satisfiable', message, { status: 416 });
    }
    const to = Math.min(size, (end ?? size - 1) + 1);
    this.#readers += 1;
    if (pieces) this.#fetchingPieces += 1;
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      this.#readers -= 1;
      if (pieces) this.#fetchingPieces -= 1;
      if (this.#readers > 0) return;
      for (const read of this.#reads) read.stop.abort();
      this.#parts.onIdle();
    };
    return openBlobOver({
      totalSize: size,
      offset,
      length: to - offset,
      contentType: 'application/octet-stream',
      // All before it is here, so the whole will be by its last byte; what is here stays.
      vouched: this.#parts.spool.have.covers({ from: 0, to: offset }),
      pump: (sink, signal) => this.#pump({ from: offset, to }, sink, signal).finally(leave),
      cancel: leave,
    });
  }

  /** Nothing more is read, and nobody is served on. */
  end(why: RegistryError): void {
    this.#ended ??= why;
    this.#digest.stop();
    for (const read of this.#reads) read.stop.abort();
    this.#wake();
  }

  /** Once nobody uses it. */
  async close(keep: boolean): Promise<void> {
    await this.#parts.spool.close(keep && this.#ended?.code !== 'digest-mismatch');
  }

  async #pump(
    { from, to }: Span,
    sink: (chunk: Buffer) => Promise<void> | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { spool, buffers } = this.#parts;
    /** For what is read from the file; its reader may be slow, and those behind it wait for no buffer. */
    let buffer: Buffer | undefined;
    try {
      let failures = this.#failures;
      for (let at = from; at < to;) {
        if (this.#ended !== undefined) throw this.#ended;
        if (signal?.aborted === true) throw new RegistryError('aborted', 'the reader left');
        if (this.#failures > failures) throw this.#failure!;
        const known = {
          have: spool.have,
          readings: [...this.#reads],
          pieces: this.#fetchingPieces > 0 || this.#parts.patchy === true,
        };
        const next = nextRead(known, at, to);
        if (next.do === 'serve') {
          const length = Math.min(next.to, to, this.#releasable()) - at;
          if (length > 0) {
            const held = spool.hold(at, length);
            const chunk = held?.bytes ?? (await spool.read((buffer ??= buffers.borrow()), at, length));
            if (chunk.length === 0) throw new RegistryError('truncated', 'the spool file lost its bytes');
            try {
              await sink(chunk);
            } finally {
              held?.release();
            }
            at += chunk.length;
            failures = this.#failures;
            continue;
          }
          this.#digest.goOn();
        }
        const span = next.do === 'read' ? next.span : readAhead(known, at, to);
        if (span !== undefined) this.#start(span);
        await this.#happening(signal);
      }
    } finally {
      if (buffer !== undefined) buffers.release(buffer);
    }
  }

  #start(span: Span): void {
    for (const read of this.#reads) if (read.at <= span.from && span.from < read.to) read.to = span.from;
    const read = this.#begin(span);
    let from = this.#sources[0]!.name;
    const open = openResuming({
      sources: this.#sources,
      digest: this.#parts.digest,
      offset: span.from,
      ...(span.to < this.size ? { end: span.to - 1 } : {}),
      verify: false,
      rounds: ROUNDS,
      signal: read.stop.signal,
      onSwitch: ({ next }) => (from = next.name),
    });
    void this.#run(
      read,
      async (sink, signal) => (await open).deliver(sink, signal),
      () => from,
    );
  }

  #begin({ from, to }: Span): ActiveRead {
    const read: ActiveRead = { at: from, to, asked: to, stop: new AbortController() };
    this.#reads.add(read);
    return read;
  }

  async #run(
    read: ActiveRead,
    deliver: (sink: (chunk: Buffer) => Promise<void>, signal: AbortSignal) => Promise<void>,
    from: () => string,
  ): Promise<void> {
    try {
      await deliver(async (chunk) => {
        const part = chunk.subarray(0, Math.max(0, read.to - read.at));
        const written = this.#parts.spool.write(part, read.at);
        // While it is written.
        this.#digest.take(part, read.at);
        try {
          await written;
        } catch (error) {
          // Other bytes may come in their place, which were not hashed.
          const first = this.#ended === undefined;
          this.#unkept ||= first;
          this.end(new RegistryError('server-error', `cannot keep what was read: ${String(error)}`));
          if (first) this.#parts.onUnkept(error);
          throw error;
        }
        this.#parts.onBytes(from(), chunk.length);
        this.#parts.onReached(read.at + part.length);
        read.at += part.length;
        this.#wake();
        // One that ends where it was to end leaves its connection to the next.
        if (read.at >= read.to && read.to < read.asked) read.stop.abort();
      }, read.stop.signal);
    } catch (error) {
      if (read.at < read.to && !read.stop.signal.aborted) {
        this.#failures += 1;
        this.#failure = error instanceof RegistryError ? error : new RegistryError('server-error', String(error));
      }
    } finally {
      this.#reads.delete(read);
      this.#wake();
    }
  }

  /** Up to where bytes may be given away now. */
  #releasable(): number {
    if (this.verified || !willBeWhole({ have: this.#parts.spool.have, readings: [...this.#reads] }, this.size))
      return this.size;
    return Math.max(0, this.size - HELD_BACK);
  }

  #happening(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      this.#waiting.add(done);
      signal?.addEventListener('abort', done, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }
}
