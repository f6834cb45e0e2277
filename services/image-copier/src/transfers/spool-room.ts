import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isSpool, removeSpool } from './spool-file.ts';

export interface SpoolRoomOptions {
  readonly folder: string;
  /** All files together, as large as their blobs will be. */
  readonly totalBytes: number;
  /** How long a file that nobody reads is kept. */
  readonly keepMs: number;
}

/** So long nothing new is begun on a disk that took no more: whoever comes reads by itself. */
export const FULL_MS = 60_000;

interface Place {
  readonly bytes: number;
  /** Epoch ms since when nobody uses it; undefined while somebody does. */
  idleSince: number | undefined;
}

/** The folder of spool files and who has how much of it. Files that nobody uses make room for new ones, the oldest first. */
export class SpoolRoom {
  readonly folder: string;
  /** Its name among all copiers' folders: stays while the folder does, whatever process and address it has. */
  readonly name: string;
  readonly #total: number;
  readonly #keepMs: number;
  readonly #places = new Map<string, Place>();
  /** Epoch ms until when the disk counts as full. */
  #fullUntil = -Infinity;

  /** Takes over what an earlier process left in the folder. */
  constructor({ folder, totalBytes, keepMs }: SpoolRoomOptions) {
    this.folder = folder;
    this.#total = totalBytes;
    this.#keepMs = keepMs;
    mkdirSync(folder, { recursive: true });
    this.name = nameOf(folder);
    for (const name of readdirSync(folder)) {
      if (!isSpool(name)) continue;
      const { size, mtimeMs } = statSync(path.join(folder, name));
      this.#places.set(name, { bytes: size, idleSince: mtimeMs });
    }
  }

  get usedBytes(): number {
    return [...this.#places.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Room for a blob of `bytes`; false when there is none, whatever is dropped. */
  take(name: string, bytes: number, now: number): boolean {
    if (now < this.#fullUntil) return false;
    const own = this.#places.get(name)?.bytes ?? 0;
    const idle = [...this.#places].filter(([other, { idleSince }]) => other !== name && idleSince !== undefined);
    idle.sort(([, a], [, b]) => a.idleSince! - b.idleSince!);
    let free = this.#total - this.usedBytes + own;
    const free0 = free + idle.reduce((sum, [, place]) => sum + place.bytes, 0);
    if (free0 < bytes) return false;
    for (const [other, place] of idle) {
      if (free >= bytes && now - place.idleSince! <= this.#keepMs) break;
      if (this.#drop(other)) free += place.bytes;
    }
    if (free < bytes) return false;
    this.#places.set(name, { bytes, idleSince: undefined });
    return true;
  }

  /** Nobody uses it any more; `kept`: its file is still there. */
  leave(name: string, kept: boolean, now: number): void {
    const place = this.#places.get(name);
    if (place === undefined) return;
    if (kept) place.idleSince = now;
    else this.#places.delete(name);
  }

  /** The disk took no more, whatever there should be room for: what nobody uses is dropped, and nothing new is begun for a minute. */
  full(now: number): void {
    this.#fullUntil = now + FULL_MS;
    for (const [name, { idleSince }] of this.#places) if (idleSince !== undefined) this.#drop(name);
  }

  /** Drops what nobody used for too long. */
  sweep(now: number): void {
    for (const [name, { idleSince }] of this.#places)
      if (idleSince !== undefined && now - idleSince > this.#keepMs) this.#drop(name);
  }

  /** False when the disk gives nothing back (it went read-only): the file still counts, and the next sweep tries again. */
  #drop(name: string): boolean {
    try {
      removeSpool(path.join(this.folder, name));
    } catch {
      return false;
    }
    return this.#places.delete(name);
  }
}

/** What the folder is called, by a file in it that is made once. */
function nameOf(folder: string): string {
  const file = path.join(folder, '.name');
  const known = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (known !== '') return known;
  const made = randomUUID();
  writeFileSync(file, made);
  return made;
}
