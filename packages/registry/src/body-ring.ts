/** A chunk that would leave less than this at a buffer's end moves on to the next buffer: small reads cost the most. */
const LEAST_READ = 32 * 1024;

interface Block {
  buffer: Buffer;
  /** Bytes written by the socket, handed to the reader, and given back by it; taken <= filled, released <= taken. */
  filled: number;
  taken: number;
  released: number;
}

/**
 * One or two buffers between a socket that fills them and a reader that hands them on, so that reading and writing overlap. While
 * the reader is busy with one part, further reads append behind it: a slow reader gets few large chunks. No copies, no clock.
 */
export class BodyRing {
  readonly #blocks: Block[];
  readonly #spilt: Buffer[] = [];
  #writing = 0;
  #reading = 0;
  #full = false;

  constructor(first: Buffer) {
    this.#blocks = [{ buffer: first, filled: 0, taken: 0, released: 0 }];
  }

  get buffers(): readonly Buffer[] {
    return this.#blocks.map((block) => block.buffer);
  }

  /** True when the socket must stop, and nothing but `spill` may follow; `release` says when it may go on. */
  get full(): boolean {
    return this.#full;
  }

  /** Where the next read goes, at most `limit` bytes. While full: where the first read after going on will go. */
  target(limit: number): Buffer {
    const block = this.#full ? this.#next() : this.#blocks[this.#writing]!;
    const start = this.#full ? 0 : block.filled;
    return block.buffer.subarray(start, Math.min(block.buffer.length, start + limit));
  }

  /** Records a read into `target`. `another` may lend a second buffer when the first is used up. */
  wrote(bytes: number, another: () => Buffer | undefined): void {
    const block = this.#blocks[this.#writing]!;
    block.filled += bytes;
    if (block.buffer.length - block.filled >= Math.min(LEAST_READ, block.buffer.length / 4)) return;
    if (this.#blocks.length === 1 && block.released < block.filled) {
      const buffer = another();
      if (buffer !== undefined) this.#blocks.push({ buffer, filled: 0, taken: 0, released: 0 });
    }
    if (isFree(this.#next())) this.#advance();
    else this.#full = true;
  }

  /** Keeps a copy of bytes that came although the ring is full; they follow what is in it, at `release`. */
  spill(bytes: Buffer): void {
    this.#spilt.push(Buffer.from(bytes));
  }

  /** Everything contiguous that waits for the reader; undefined when nothing does. One chunk at a time is out. */
  take(): Buffer | undefined {
    let block = this.#blocks[this.#reading]!;
    if (block.taken === block.filled && this.#reading !== this.#writing) {
      this.#reading = this.#writing;
      block = this.#blocks[this.#reading]!;
    }
    if (block.taken === block.filled) return undefined;
    const chunk = block.buffer.subarray(block.taken, block.filled);
    block.taken = block.filled;
    return chunk;
  }

  /** The reader is done with the chunk that is out. Returns true when the socket had stopped and may now go on. */
  release(): boolean {
    const block = this.#blocks[this.#reading]!;
    block.released = block.taken;
    if (!this.#full || !isFree(this.#next())) return false;
    this.#full = false;
    this.#advance();
    this.#takeSpilt();
    return !this.#full;
  }

  #takeSpilt(): void {
    while (!this.#full && this.#spilt[0] !== undefined) {
      const [bytes] = this.#spilt;
      const taken = bytes.copy(this.target(bytes.length));
      if (taken === bytes.length) this.#spilt.shift();
      else this.#spilt[0] = bytes.subarray(taken);
      this.wrote(taken, () => undefined);
    }
  }

  #next(): Block {
    return this.#blocks[this.#blocks.length === 1 ? 0 : 1 - this.#writing]!;
  }

  #advance(): void {
    const next = this.#next();
    next.filled = next.taken = next.released = 0;
    const index = this.#blocks.indexOf(next);
    // A reader that was parked on the emptied buffer has its next bytes in the one just filled.
    if (this.#reading === index) this.#reading = this.#writing;
    this.#writing = index;
  }
}

function isFree(block: Block): boolean {
  return block.released === block.filled;
}
