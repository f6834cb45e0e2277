import { createHash, type Hash } from 'node:crypto';
import { parseDigest } from '@kuik/image';
import { RegistryError } from '@kuik/registry';
import type { SpoolFile } from './spool-file.ts';

const STEP_BYTES = 256 * 1024;

export interface RunningDigestParts {
  readonly digest: string;
  readonly spool: Pick<SpoolFile, 'size' | 'have' | 'read'>;
  /** The bytes are wrong, or the file lost them: nothing more of it may be given away. */
  readonly onWrong: (why: RegistryError) => void;
  /** A verdict may be there that somebody waits for. */
  readonly onProgress: () => void;
}

/** The digest of a blob that comes in any order: hashed in the blob's own, as its bytes come or from the spool file. */
export class RunningDigest {
  readonly #parts: RunningDigestParts;
  readonly #hash: Hash;
  /** Bytes from the first on that were hashed. */
  #hashed = 0;
  #reading = false;
  #verified = false;
  #stopped = false;

  constructor(parts: RunningDigestParts) {
    this.#parts = parts;
    this.#hash = createHash(parseDigest(parts.digest)!.algorithm);
  }

  /** The digest of the whole agreed. */
  get verified(): boolean {
    return this.#verified;
  }

  /** A chunk that came, whether it is in the file by now or not; the same bytes have to get there. */
  take(chunk: Buffer, at: number): void {
    if (!this.#reading && at <= this.#hashed && this.#hashed < at + chunk.length) {
      this.#hash.update(chunk.subarray(this.#hashed - at));
      this.#hashed = at + chunk.length;
    }
    this.goOn();
  }

  /** Hashes what is known beyond the byte reached from the file: what came out of order, or before this process. */
  goOn(): void {
    const { size, have } = this.#parts.spool;
    if (this.#reading || this.#verified || this.#stopped) return;
    if (this.#hashed === size) return this.#check();
    if (have.endOf(this.#hashed) <= this.#hashed) return;
    this.#reading = true;
    this.#readOn().then(
      () => {
        this.#reading = false;
        if (this.#hashed === size && !this.#stopped) this.#check();
        this.#parts.onProgress();
      },
      (error: unknown) =>
        this.#parts.onWrong(error instanceof RegistryError ? error : new RegistryError('truncated', String(error))),
    );
  }

  /** Nothing is read on. */
  stop(): void {
    this.#stopped = true;
  }

  async #readOn(): Promise<void> {
    const { spool } = this.#parts;
    const buffer = Buffer.allocUnsafe(STEP_BYTES);
    for (;;) {
      const length = spool.have.endOf(this.#hashed) - this.#hashed;
      if (length <= 0 || this.#stopped) return;
      const chunk = await spool.read(buffer, this.#hashed, length);
      if (chunk.length === 0) throw new RegistryError('truncated', 'the spool file lost its bytes');
      this.#hash.update(chunk);
      this.#hashed += chunk.length;
    }
  }

  #check(): void {
    const { digest, onWrong } = this.#parts;
    const got = this.#hash.digest('hex');
    this.#verified = got === parseDigest(digest)!.hex;
    if (this.#verified) return;
    this.stop();
    onWrong(
      new RegistryError('digest-mismatch', `the bytes of ${digest} have the digest ${got.slice(0, 12)}...: refused`),
    );
  }
}
