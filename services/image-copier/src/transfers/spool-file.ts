import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { open, rename, writeFile, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { BufferPool } from '@kuik/registry';
import { SpoolBlocks, type HeldBytes } from './spool-blocks.ts';
import { SpanSet, type Span } from './span-set.ts';

/** The list of spans is written when this many bytes came: what a killed process had read beyond is read again. */
const TELL_EVERY_BYTES = 1024 * 1024;

interface Told {
  readonly key: string;
  readonly size: number;
  readonly spans: readonly Span[];
}

/** Memory for what came last of every blob, in blocks of one size. */
export interface SpoolMemory {
  readonly pool: BufferPool;
  readonly blockBytes: number;
}

/**
 * One blob on disk, with holes; beside it the list of what it holds, so that the next process can go on. With memory, what came last is read from
 * there, and what is small gets a file only when it is kept.
 */
export class SpoolFile {
  readonly size: number;
  /** What can be read. */
  readonly have: SpanSet;
  /** What of it is in the file. */
  readonly #saved: SpanSet;
  readonly #blocks: SpoolBlocks | undefined;
  readonly #key: string;
  /** Undefined: it is somebody else's. */
  readonly #file: string | undefined;
  readonly #opening: () => Promise<FileHandle>;
  #handle: Promise<FileHandle> | undefined;
  #untold = 0;
  #telling: Promise<void> | undefined;

  private constructor(
    { key, size, spans }: Told,
    file: string | undefined,
    opening: () => Promise<FileHandle>,
    memory?: SpoolMemory,
  ) {
    this.#key = key;
    this.#file = file;
    this.#opening = opening;
    this.size = size;
    this.have = new SpanSet(spans);
    this.#saved = new SpanSet(spans);
    if (memory !== undefined)
      this.#blocks = new SpoolBlocks({ ...memory, size, save: (bytes, at) => this.#save(bytes, at) });
  }

  /** The blob's file in `folder`, with what an earlier process left of it. Throws the system's error. */
  static async open(folder: string, key: string, name: string, size: number, memory?: SpoolMemory): Promise<SpoolFile> {
    const file = path.join(folder, name);
    const found = existsSync(file);
    const told = found ? readTold(file) : undefined;
    const left = told?.key === key && told.size === size;
    const opening = async (): Promise<FileHandle> => {
      mkdirSync(folder, { recursive: true });
      return open(file, left ? 'r+' : 'w+');
    };
    const spool = new SpoolFile({ key, size, spans: left ? told.spans : [] }, file, opening, memory);
    const small = memory !== undefined && SpoolBlocks.holdsWhole(size, memory.blockBytes);
    if (found || !small) await spool.#opened();
    return spool;
  }

  /** What somebody left of a blob in `folder`, to be read only; undefined when there is nothing. */
  static async peek(folder: string, key: string, name: string): Promise<SpoolFile | undefined> {
    const file = path.join(folder, name);
    const told = readTold(file);
    if (told?.key !== key) return undefined;
    const handle = await open(file, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    const spool = new SpoolFile(told, undefined, () => Promise.resolve(handle));
    await spool.#opened();
    return spool;
  }

  /** Bytes count as held once they are in memory or in the file. Throws the system's error (ENOSPC). */
  async write(chunk: Buffer, at: number): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      let taken = this.#blocks?.take(chunk.subarray(done), at + done) ?? 0;
      if (taken === 0) {
        taken = chunk.length - done;
        await this.#save(chunk.subarray(done), at + done);
      }
      this.have.add({ from: at + done, to: at + done + taken });
      done += taken;
    }
  }

  /** Bytes from `at` on that are in memory: some of those `length`, or undefined. */
  hold(at: number, length: number): HeldBytes | undefined {
    return this.#blocks?.hold(at, length);
  }

  /** Bytes from `at` into `buffer`: some of those `length` that fit; none when they are not here. */
  async read(buffer: Buffer, at: number, length: number): Promise<Buffer> {
    const held = this.hold(at, Math.min(length, buffer.length));
    if (held !== undefined) {
      const taken = held.bytes.copy(buffer);
      held.release();
      return buffer.subarray(0, taken);
    }
    const handle = await this.#opened();
    const there = Math.min(length, buffer.length, this.#saved.endOf(at) - at);
    const { bytesRead } = await handle.read(buffer, 0, there, at);
    return buffer.subarray(0, bytesRead);
  }

  /** `keep`: the file stays for the next one who wants this blob. Without its list (a full disk) it tells nothing and is read again: no failure. */
  async close(keep: boolean): Promise<void> {
    // What cannot be written is not told of.
    if (keep) await this.#blocks?.flush().catch(() => undefined);
    await this.#blocks?.close();
    const handle = await this.#handle?.catch(() => undefined);
    if (handle === undefined) return;
    try {
      await this.#telling;
      if (keep) await this.#tell();
      else if (this.#file !== undefined) removeSpool(this.#file);
    } catch {
      // Whoever opens it next begins anew.
    } finally {
      await handle.close();
    }
  }

  #opened(): Promise<FileHandle> {
    return (this.#handle ??= this.#opening());
  }

  async #save(bytes: Buffer, at: number): Promise<void> {
    const handle = await this.#opened();
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
    this.#saved.add({ from: at, to: at + bytes.length });
    this.#untold += bytes.length;
    if (this.#untold < TELL_EVERY_BYTES) return;
    // Nobody waits for it, and what cannot be told is read again.
    this.#telling ??= this.#tell()
      .catch(() => undefined)
      .finally(() => (this.#telling = undefined));
  }

  async #tell(): Promise<void> {
    this.#untold = 0;
    if (this.#file === undefined) return;
    const told: Told = { key: this.#key, size: this.size, spans: this.#saved.spans };
    await writeFile(`${this.#file}.next`, JSON.stringify(told));
    await rename(`${this.#file}.next`, `${this.#file}.json`);
  }
}

/** The name of the file of a transfer. */
export function spoolName(key: string): string {
  return key.replace(/[^a-zA-Z0-9.-]/g, '_');
}

/** The size that a blob's file was made for, if there is one. */
export function sizeOfSpool(folder: string, key: string, name: string): number | undefined {
  const told = readTold(path.join(folder, name));
  return told?.key === key ? told.size : undefined;
}

/** Forgets a blob's file and its list. */
export function removeSpool(file: string): void {
  for (const each of [`${file}.json`, `${file}.next`, file]) rmSync(each, { force: true });
}

function readTold(file: string): Told | undefined {
  try {
    return JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Told;
  } catch {
    return undefined;
  }
}
