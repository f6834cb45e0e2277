import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { SpanFile } from './span-file.ts';
import { SpanSet, type Span } from './span-set.ts';

/** What a file was made for; its spans are in another one beside it. */
interface Told {
  readonly key: string;
  readonly size: number;
}

/** One blob on disk, with holes; beside it the list of what it holds, so that the next process can go on. */
export class SpoolFile {
  readonly size: number;
  readonly have: SpanSet;
  /** Undefined: it is somebody else's. */
  readonly #file: string | undefined;
  readonly #handle: FileHandle;
  /** Undefined: somebody else's, or it could not be written any more. */
  #list: SpanFile | undefined;

  private constructor(handle: FileHandle, size: number, have: SpanSet, own?: { file: string; list: SpanFile }) {
    this.#file = own?.file;
    this.#list = own?.list;
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
    if (!left) removeSpool(file);
    const have = new SpanSet(SpanFile.read(listOf(file)));
    const handle = await open(file, left ? 'r+' : 'w+');
    try {
      if (!left) writeFileSync(toldOf(file), JSON.stringify({ key, size } satisfies Told));
      return new SpoolFile(handle, size, have, { file, list: new SpanFile(listOf(file)) });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What somebody left of a blob in `folder`, to be read only; undefined when there is nothing. */
  static async peek(folder: string, key: string, name: string): Promise<SpoolFile | undefined> {
    const file = path.join(folder, name);
    const told = readTold(file);
    if (told?.key !== key) return undefined;
    const handle = await open(file, 'r').catch(() => undefined);
    return handle && new SpoolFile(handle, told.size, new SpanSet(SpanFile.read(listOf(file))));
  }

  /** Bytes count as held once they are written. Throws the system's error (ENOSPC). */
  async write(chunk: Buffer, at: number): Promise<void> {
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await this.#handle.write(chunk, done, chunk.length - done, at + done);
      done += bytesWritten;
    }
    const span = { from: at, to: at + chunk.length };
    this.have.add(span);
    if (chunk.length > 0) this.#tell(span);
  }

  /** Bytes from `at` into `buffer`; as many as there are in it and in the file. */
  async read(buffer: Buffer, at: number, length: number): Promise<Buffer> {
    const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(length, buffer.length), at);
    return buffer.subarray(0, bytesRead);
  }

  /** `keep`: the file stays for the next one who wants this blob. */
  async close(keep: boolean): Promise<void> {
    this.#list?.close();
    this.#list = undefined;
    try {
      if (!keep && this.#file !== undefined) removeSpool(this.#file);
    } catch {
      // The room's sweep tries again, at the latest in the next process.
    } finally {
      await this.#handle.close();
    }
  }

  /** What cannot be listed (a full disk) is read again by the next process: no failure. */
  #tell(span: Span): void {
    try {
      this.#list?.add(span);
    } catch {
      this.#list?.close();
      this.#list = undefined;
    }
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
