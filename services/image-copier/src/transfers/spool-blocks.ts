import type { BufferPool } from '@kuik/registry';

/** So many blocks of one blob at most: what its readers may be behind without reading the file. A blob of no more is not written unless its file is kept. */
const BLOCKS_MAX = 8;

export interface SpoolBlocksOptions {
  /** Of buffers of one size, shared with other blobs. */
  readonly pool: BufferPool;
  readonly blockBytes: number;
  /** Bytes of the whole blob. */
  readonly size: number;
  /** Writes bytes of the blob into its file. */
  readonly save: (bytes: Buffer, at: number) => Promise<void>;
}

/** Bytes that stay where they are until they are released. */
export interface HeldBytes {
  readonly bytes: Buffer;
  release(): void;
}

interface Block {
  readonly buffer: Buffer;
  /** Of its first byte in the blob. */
  readonly at: number;
  filled: number;
  /** Of them that are in the file. */
  saved: number;
  saving: Promise<void> | undefined;
  holders: number;
  dropped: boolean;
}

/**
 * The bytes of a blob that came last, in memory: written to its file in large steps while more come, and given from here to who reads right
 * behind. Never waits: when the file cannot follow, or others use the memory, `take` takes nothing.
 */
export class SpoolBlocks {
  readonly #options: SpoolBlocksOptions;
  /** The latest one last. */
  #blocks: Block[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(options: SpoolBlocksOptions) {
    this.#options = options;
  }

  /** The blob stays in memory, and never needs a file. */
  static holdsWhole(size: number, blockBytes: number): boolean {
    return size <= BLOCKS_MAX * blockBytes;
  }

  /** Copies what there is room for; returns how many bytes. Throws why earlier ones could not be written. */
  take(chunk: Buffer, at: number): number {
    if (this.#failure !== undefined) throw this.#failure.error;
    const block = this.#blockAt(at);
    if (block === undefined) return 0;
    const taken = chunk.copy(block.buffer, block.filled);
    block.filled += taken;
    const { size, blockBytes } = this.#options;
    if (block.filled === block.buffer.length && !SpoolBlocks.holdsWhole(size, blockBytes)) void this.#save(block);
    return taken;
  }

  /** Bytes from `at` on, as many as one block has of those `length`; undefined when there are none. */
  hold(at: number, length: number): HeldBytes | undefined {
    const block = this.#blocks.find(({ at: start, filled }) => start <= at && at < start + filled);
    if (block === undefined) return undefined;
    block.holders += 1;
    const from = at - block.at;
    return {
      bytes: block.buffer.subarray(from, Math.min(block.filled, from + length)),
      release: () => {
        block.holders -= 1;
        this.#free(block);
      },
    };
  }

  /** Until everything is in the file. Throws why it is not. */
  async flush(): Promise<void> {
    for (const block of this.#blocks) {
      await block.saving;
      if (this.#failure === undefined) await this.#save(block);
      if (this.#failure !== undefined) throw this.#failure.error;
    }
  }

  /** Until nothing is being written; what was not is forgotten. */
  async close(): Promise<void> {
    for (const { saving } of this.#blocks) await saving;
    for (const block of this.#blocks.splice(0)) this.#drop(block);
  }

  /** The block that goes on at this byte, else a new one. */
  #blockAt(at: number): Block | undefined {
    const going = this.#blocks.find(({ at: start, filled, buffer }) => start + filled === at && filled < buffer.length);
    if (going !== undefined) return going;
    if (this.#blocks.length >= BLOCKS_MAX && !this.#makeRoom()) return undefined;
    const buffer = this.#options.pool.tryAcquire();
    if (buffer === undefined) return undefined;
    const block = { buffer, at, filled: 0, saved: 0, saving: undefined, holders: 0, dropped: false };
    this.#blocks.push(block);
    return block;
  }

  /** Drops the oldest block that is in the file; when none is, the oldest one is on its way there. */
  #makeRoom(): boolean {
    const index = this.#blocks.findIndex(({ saved, filled, saving }) => saved === filled && saving === undefined);
    if (index === -1) {
      const oldest = this.#blocks.find(({ saving }) => saving === undefined);
      if (oldest !== undefined) void this.#save(oldest);
      return false;
    }
    this.#drop(this.#blocks.splice(index, 1)[0]!);
    return true;
  }

  #drop(block: Block): void {
    block.dropped = true;
    this.#free(block);
  }

  #free(block: Block): void {
    if (block.dropped && block.holders === 0) this.#options.pool.release(block.buffer);
  }

  /** Never throws: who comes next is told. */
  #save(block: Block): Promise<void> {
    const { filled, saved } = block;
    if (filled === saved) return Promise.resolve();
    block.saving = this.#options.save(block.buffer.subarray(saved, filled), block.at + saved).then(
      () => {
        block.saved = filled;
        block.saving = undefined;
      },
      (error: unknown) => {
        this.#failure ??= { error };
        block.saving = undefined;
      },
    );
    return block.saving;
  }
}
