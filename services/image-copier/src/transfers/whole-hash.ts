import { createHash, type Hash } from 'node:crypto';
import { parseDigest } from '@kuik/image';
import { RegistryError } from '@kuik/registry';
import type { SpoolFile } from './spool-file.ts';

const HASH_STEP = 256 * 1024;

export interface WholeHashParts {
  readonly digest: string;
  readonly spool: Pick<SpoolFile, 'size' | 'have' | 'read'>;
  /** Nobody needs it any more. */
  readonly isOver: () => boolean;
  /** Called once: undefined when the digest agrees, else what is wrong with the bytes. */
  readonly onEnd: (wrong: RegistryError | undefined) => void;
}

/** Hashes a blob in the order of its bytes, as they come or from its spool file. */
export class WholeHash {
  readonly #parts: WholeHashParts;
  readonly #hash: Hash;
  #hashed = 0;
  #hashing = false;
  #verified = false;

  constructor(parts: WholeHashParts) {
    this.#parts = parts;
    this.#hash = createHash(parseDigest(parts.digest)!.algorithm);
    if (parts.spool.size === 0) this.#check();
  }

  /** The digest of the whole agreed. */
  get verified(): boolean {
    return this.#verified;
  }

  /** These bytes are in the file now. */
  came(chunk: Buffer, at: number): void {
    if (!this.#hashing && at <= this.#hashed && this.#hashed < at + chunk.length) {
      this.#hash.update(chunk.subarray(this.#hashed - at));
      this.#hashed = at + chunk.length;
      if (this.#hashed === this.#parts.spool.size) return this.#check();
    }
    this.goOn();
  }

  /** Hashes what is known beyond the byte reached from the file: what came out of order, or before this process. */
  goOn(): void {
    const { spool, isOver, onEnd } = this.#parts;
    if (isOver() || this.#hashing || this.#verified || spool.have.endOf(this.#hashed) <= this.#hashed) return;
    this.#hashing = true;
    this.#fromFile().then(
      () => {
        this.#hashing = false;
        if (isOver()) return;
        if (this.#hashed === spool.size) this.#check();
        else this.goOn();
      },
      (error: unknown) => onEnd(error instanceof RegistryError ? error : new RegistryError('truncated', String(error))),
    );
  }

  async #fromFile(): Promise<void> {
    const { spool, isOver } = this.#parts;
    const buffer = Buffer.allocUnsafe(HASH_STEP);
    for (;;) {
      const length = spool.have.endOf(this.#hashed) - this.#hashed;
      if (length <= 0 || isOver()) return;
      const chunk = await spool.read(buffer, this.#hashed, length);
      if (chunk.length === 0) throw new RegistryError('truncated', 'the spool file lost its bytes');
      this.#hash.update(chunk);
      this.#hashed += chunk.length;
    }
  }

  #check(): void {
    const { digest, onEnd } = this.#parts;
    const got = this.#hash.digest('hex');
    this.#verified = got === parseDigest(digest)!.hex;
    const message = `the bytes of ${digest} have the digest ${got.slice(0, 12)}...: refused`;
    onEnd(this.#verified ? undefined : new RegistryError('digest-mismatch', message));
  }
}
