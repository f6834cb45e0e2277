import { RegistryError } from './errors.ts';
import { endOfHead, HEAD_MAX_BYTES, parseResponseHead, type ResponseHead } from './response-head.ts';

const STEP = 8 * 1024;
/** A read smaller than this is not worth having. */
const LEAST_READ = 4096;

/** Gathers the reads of a socket until a response head is complete, and keeps what came behind it: the first bytes of the body. */
export class HeadReader {
  #buffer = Buffer.allocUnsafeSlow(STEP);
  #behind: Buffer | undefined;
  #filled = 0;
  #end = 0;

  /** Where the next read goes: at most 8 KiB. */
  target(): Buffer {
    if (this.#buffer.length - this.#filled < LEAST_READ) this.#grow(STEP);
    return this.#buffer.subarray(this.#filled, this.#filled + STEP);
  }

  /** Where the first read after a complete head goes: behind `rest`, which stays as it is and where it is; at most 16 KiB. */
  targetBehind(): Buffer {
    if (this.#buffer.length - this.#filled >= LEAST_READ) return this.target();
    return (this.#behind ??= Buffer.allocUnsafeSlow(STEP));
  }

  /** Forgets everything: the next bytes begin a head. What a large head made grow is given back. */
  reset(): void {
    this.#filled = 0;
    this.#end = 0;
    if (this.#buffer.length > STEP) this.#buffer = Buffer.allocUnsafeSlow(STEP);
  }

  /**
   * Takes a read of `bytes` into `buffer`, wherever that is: the first read after a pause lands where it was told to before it. Gives
   * the head when it is complete; interim ones (1xx) are skipped. Throws RegistryError `invalid-response`.
   */
  add(bytes: number, buffer: Buffer): ResponseHead | undefined {
    let searchFrom = Math.max(0, this.#filled - 3);
    this.#append(bytes, buffer);
    for (;;) {
      const end = endOfHead(this.#buffer.subarray(0, this.#filled), searchFrom);
      if (end > HEAD_MAX_BYTES || (end === -1 && this.#filled >= HEAD_MAX_BYTES)) {
        throw new RegistryError('invalid-response', `the server sent a head larger than ${HEAD_MAX_BYTES} bytes`);
      }
      if (end === -1) return undefined;
      const head = parseResponseHead(this.#buffer.subarray(0, end));
      if (head.status >= 200) {
        this.#end = end;
        return head;
      }
      this.#buffer.copyWithin(0, end, this.#filled);
      this.#filled -= end;
      searchFrom = 0;
    }
  }

  /** Takes more of what comes behind a complete head: it becomes part of `rest`. */
  keep(bytes: number, buffer: Buffer): void {
    this.#append(bytes, buffer);
  }

  /** Bytes that came behind the head. Valid until the next `add` or `keep`. */
  get rest(): Buffer {
    return this.#buffer.subarray(this.#end, this.#filled);
  }

  #append(bytes: number, buffer: Buffer): void {
    const at = buffer.byteOffset - this.#buffer.byteOffset;
    if (buffer.buffer !== this.#buffer.buffer || at !== this.#filled) {
      if (this.#buffer.length - this.#filled < bytes) this.#grow(bytes + STEP);
      buffer.copy(this.#buffer, this.#filled, 0, bytes);
    }
    this.#filled += bytes;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(this.#filled + bytes);
    this.#buffer.copy(larger, 0, 0, this.#filled);
    this.#buffer = larger;
  }
}
