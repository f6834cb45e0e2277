import { closeSync, constants, fstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Span } from './span-set.ts';

/** Two doubles: from, to. A record never lies across two pages, so that a process that is killed leaves it old or new. */
const RECORD_BYTES = 16;

/**
 * Which spans of a spool file are written, as a file beside it: one record for each run of bytes, overwritten in its place as the run grows. So it
 * costs one small write per step, and a killed process leaves no more unlisted than the step in hand.
 */
export class SpanFile {
  /** Undefined: it could not be written any more. */
  #file: number | undefined;
  readonly #record = Buffer.alloc(RECORD_BYTES);
  /** Runs that may grow, by the byte that they have come to. */
  readonly #growing = new Map<number, { readonly from: number; readonly slot: number }>();
  #slots: number;

  /** Goes on with the list in `file`, or begins one. Throws the system's error. */
  constructor(file: string) {
    // Made if missing, never cut short, and written anywhere: no flag of a name says all three.
    this.#file = openSync(file, constants.O_RDWR | constants.O_CREAT);
    this.#slots = Math.floor(fstatSync(this.#file).size / RECORD_BYTES);
  }

  /** What is listed in `file`; nothing when there is none. */
  static read(file: string): Span[] {
    const bytes = contentOf(file);
    const spans: Span[] = [];
    for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES)
      spans.push({ from: bytes.readDoubleLE(at), to: bytes.readDoubleLE(at + 8) });
    return spans;
  }

  /** These bytes are there. What cannot be listed (a full disk) is read again by the next process: no failure, and nothing is listed after it. */
  add({ from, to }: Span): void {
    if (this.#file === undefined) return;
    const run = this.#growing.get(from) ?? { from, slot: this.#slots };
    this.#record.writeDoubleLE(run.from, 0);
    this.#record.writeDoubleLE(to, 8);
    try {
      writeSync(this.#file, this.#record, 0, RECORD_BYTES, run.slot * RECORD_BYTES);
    } catch {
      this.close();
      return;
    }
    if (run.slot === this.#slots) this.#slots += 1;
    this.#growing.delete(from);
    this.#growing.set(to, run);
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function contentOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    return Buffer.alloc(0);
  }
}
