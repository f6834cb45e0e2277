const NEWLINE = 0x0a;

/** Thrown when a line grows past the splitter's bound. */
export class LineTooLong extends Error {
  override readonly name = 'LineTooLong';
}

/** Cuts a byte stream into lines; a line, or one of its characters, may be spread over any number of chunks. */
export class LineSplitter {
  readonly #maxBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  /** @param maxBytes bound of one line; an object in etcd is 1.5 MiB by default, its JSON rarely over 4. */
  constructor(maxBytes = 32 * 1024 * 1024) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that this chunk completes, without their newline; empty ones are left out. */
  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      const line = this.#take(chunk.subarray(from, at));
      if (line !== '') lines.push(line);
      from = at + 1;
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from));
    return lines;
  }

  /** What came after the last newline. */
  rest(): string {
    return this.#take(new Uint8Array());
  }

  #hold(bytes: Uint8Array): void {
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > this.#maxBytes) throw new LineTooLong(`a line of more than ${this.#maxBytes} bytes`);
  }

  #take(end: Uint8Array): string {
    const bytes = this.#held.length === 0 ? end : Buffer.concat([...this.#held, end]);
    this.#held = [];
    this.#heldBytes = 0;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  }
}
