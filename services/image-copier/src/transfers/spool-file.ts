import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { BufferPool } from '@kuik/registry';
import { SpanFile } from './span-file.ts';
import { SpanSet } from './span-set.ts';
import { SpoolBlocks, type HeldBytes } from './spool-blocks.ts';

/** What a file was made for; its spans are in another one beside it. */
interface Told {
  readonly key: string;
  readonly size: number;
}

/** Memory for what came last of every blob, in blocks of one size. */
export interface SpoolMemory {
  readonly pool: BufferPool;
  readonly blockBytes: number;
}

/** The file of a blob, and the list of what it holds: undefined when it is somebody else's. */
interface Opened {
  readonly handle: FileHandle;
  readonly list: SpanFile | undefined;
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
  /** Undefined: it is somebody else's. */
  readonly #file: string | undefined;
  readonly #opening: () => Promise<Opened>;
  #opened: Promise<Opened> | undefined;

  private constructor(
    { size, have, file }: { size: number; have: SpanSet; file?: string },
    opening: () => Promise<Opened>,
    memory?: SpoolMemory,
  ) {
    this.#file = file;
    this.#opening = opening;
    this.size = size;
    this.have = have;
    this.#saved = new SpanSet(have.spans);
    if (memory !== undefined)
      this.#blocks = new SpoolBlocks({ ...memory, size, save: (bytes, at) => this.#save(bytes, at) });
  }

  /** The blob's file in `folder`, with what an earlier process left of it. Throws the system's error. */
  static async open(folder: string, key: string, name: string, size: number, memory?: SpoolMemory): Promise<SpoolFile> {
    const file = path.join(folder, name);
    const found = existsSync(file);
    const told = found ? readTold(file) : undefined;
    const left = told?.key === key && told.size === size;
    const have = new SpanSet(left ? SpanFile.read(listOf(file)) : []);
    const spool = new SpoolFile({ size, have, file }, () => openOwn(file, left, { key, size }), memory);
    const small = memory !== undefined && SpoolBlocks.holdsWhole(size, memory.blockBytes);
    if (found || !small) await spool.#open();
    return spool;
  }

  /** What somebody left of a blob in `folder`, to be read only; undefined when there is nothing. */
  static async peek(folder: string, key: string, name: string): Promise<SpoolFile | undefined> {
    const file = path.join(folder, name);
    const told = readTold(file);
    if (told?.key !== key) return undefined;
    const have = new SpanSet(SpanFile.read(listOf(file)));
    const handle = await open(file, 'r').catch(() => undefined);
    if (handle === undefined) return undefined;
    const spool = new SpoolFile({ size: told.size, have }, () => Promise.resolve({ handle, list: undefined }));
    await spool.#open();
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
    const { handle } = await this.#open();
    const there = Math.min(length, buffer.length, this.#saved.endOf(at) - at);
    const { bytesRead } = await handle.read(buffer, 0, there, at);
    return buffer.subarray(0, bytesRead);
  }

  /** `keep`: the file stays for the next one who wants this blob. */
  async close(keep: boolean): Promise<void> {
    // What cannot be written is not listed.
    if (keep) await this.#blocks?.flush().catch(() => undefined);
    await this.#blocks?.close();
    const opened = await this.#opened?.catch(() => undefined);
    if (opened === undefined) return;
    opened.list?.close();
    try {
      if (!keep && this.#file !== undefined) removeSpool(this.#file);
    } catch {
      // The room's sweep tries again, at the latest in the next process.
    } finally {
      await opened.handle.close();
    }
  }

  #open(): Promise<Opened> {
    return (this.#opened ??= this.#opening());
  }

  async #save(bytes: Buffer, at: number): Promise<void> {
    const { handle, list } = await this.#open();
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
    const span = { from: at, to: at + bytes.length };
    this.#saved.add(span);
    list?.add(span);
  }
}

/** A file of ours, made anew unless something is left in it. Throws the system's error. */
async function openOwn(file: string, left: boolean, told: Told): Promise<Opened> {
  mkdirSync(path.dirname(file), { recursive: true });
  if (!left) removeSpool(file);
  const handle = await open(file, left ? 'r+' : 'w+');
  try {
    if (!left) writeFileSync(toldOf(file), JSON.stringify(told));
    return { handle, list: new SpanFile(listOf(file)) };
  } catch (error) {
    await handle.close();
    throw error;
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
  for (const each of [toldOf(file), listOf(file), file]) rmSync(each, { force: true });
}

/** Whether a name in the folder is a blob's file, not what is told of one. */
export function isSpool(name: string): boolean {
  return !name.startsWith('.') && !name.endsWith(TOLD) && !name.endsWith(LIST);
}

const TOLD = '.json';
const LIST = '.spans';
const toldOf = (file: string): string => `${file}${TOLD}`;
const listOf = (file: string): string => `${file}${LIST}`;

function readTold(file: string): Told | undefined {
  try {
    return JSON.parse(readFileSync(toldOf(file), 'utf8')) as Told;
  } catch {
    return undefined;
  }
}
