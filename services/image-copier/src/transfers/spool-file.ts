import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { SpanSet, type Span } from './span-set.ts';

/** The list of spans is written when this many bytes came: what a killed process had read beyond is read again. */
const TELL_EVERY_BYTES = 1024 * 1024;

interface Told {
  readonly key: string;
  readonly size: number;
  readonly spans: readonly Span[];
}

/** One blob on disk, with holes; beside it the list of what it holds, so that the next process can go on. */
export class SpoolFile {
  readonly size: number;
  readonly have: SpanSet;
  readonly #key: string;
  /** Undefined: it is somebody else's. */
  readonly #file: string | undefined;
  readonly #handle: FileHandle;
  #untold = 0;

  private constructor(key: string, file: string | undefined, handle: FileHandle, size: number, have: SpanSet) {
    this.#key = key;
    this.#file = file;
    this.#handle = handle;
    this.size = size;
    this.have = have;
  }

  /** The blob's file in `folder`, with what an earlier process left of it. Throws the system's error. */
  static async open(folder: string, key: string, name: string, size: number): Promise<SpoolFile> {
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, name);
    const told = readTold(file);
    const left = told?.key === key && told.size === size;
    const handle = await open(file, left ? 'r+' : 'w+');
    return new SpoolFile(key, file, handle, size, new SpanSet(left ? told.spans : []));
  }

  /** What somebody left of a blob in `folder`, to be read only; undefined when there is nothing. */
  static async peek(folder: string, key: string, name: string): Promise<SpoolFile | undefined> {
    const file = path.join(folder, name);
    const told = readTold(file);
    if (told?.key !== key) return undefined;
    const handle = await open(file, 'r').catch(() => undefined);
    return handle && new SpoolFile(key, undefined, handle, told.size, new SpanSet(told.spans));
  }

  /** Bytes count as held once they are written. Throws the system's error (ENOSPC). */
  async write(chunk: Buffer, at: number): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done, at + done);
      done += bytesWritten;
    }
    this.have.add({ from: at, to: at + chunk.length });
    this.#untold += chunk.length;
    if (this.#untold >= TELL_EVERY_BYTES) this.#tell();
  }

  /** Bytes from `at` into `buffer`; as many as there are in it and in the file. */
  async read(buffer: Buffer, at: number, length: number): Promise<Buffer> {
    const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(length, buffer.length), at);
    return buffer.subarray(0, bytesRead);
  }

  /** `keep`: the file stays for the next one who wants this blob. Without its list (a full disk) it tells nothing and is read again: no failure. */
  async close(keep: boolean): Promise<void> {
    try {
      if (keep) this.#tell();
      else if (this.#file !== undefined) removeSpool(this.#file);
    } catch {
      // Whoever opens it next begins anew.
    } finally {
      await this.#handle.close();
    }
  }

  #tell(): void {
    this.#untold = 0;
    if (this.#file === undefined) return;
    const told: Told = { key: this.#key, size: this.size, spans: this.have.spans };
    writeFileSync(`${this.#file}.next`, JSON.stringify(told));
    renameSync(`${this.#file}.next`, `${this.#file}.json`);
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
