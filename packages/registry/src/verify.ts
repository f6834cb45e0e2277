import { createHash, type Hash } from 'node:crypto';
import { parseDigest } from '@kuik/image';
import { RegistryError } from './errors.ts';
import type { ByteSink } from './port.ts';

/**
 * Hashes a body of known length on its way to a sink. The chunk that holds the last byte is passed on only when the digest agrees,
 * so a client that knows the length never takes wrong bytes for whole. Bytes below the highest offset seen are not hashed again. What somebody else
 * vouches for is not hashed here; behind that it cannot judge, and lets everything pass.
 */
export class DigestGate {
  readonly #digest: string;
  readonly #length: number;
  readonly #hash: Hash;
  #hashed = 0;
  #trusted = false;

  /** Throws RegistryError `rejected` when `digest` is not one. */
  constructor(digest: string, length: number) {
    const parsed = parseDigest(digest);
    if (parsed === undefined) throw new RegistryError('rejected', `"${digest.slice(0, 160)}" is not a digest`);
    this.#digest = digest;
    this.#length = length;
    this.#hash = createHash(parsed.algorithm);
    if (length === 0) this.#check();
  }

  /** Bytes passed that somebody else vouched for. */
  get trusted(): boolean {
    return this.#trusted;
  }

  trust(): void {
    this.#trusted = true;
  }

  /** Whether a chunk that ends at this byte is judged, or only counted in. */
  decidesBy(end: number): boolean {
    return end >= this.#length;
  }

  /** Takes the chunk that starts at `offset`; throws `digest-mismatch` instead of letting the last one pass. */
  pass(chunk: Buffer, offset: number): void {
    const known = Math.min(chunk.length, Math.max(0, this.#hashed - offset));
    if (known === chunk.length || (this.#trusted && offset > this.#hashed)) return;
    this.#hash.update(known === 0 ? chunk : chunk.subarray(known));
    this.#hashed = offset + chunk.length;
    if (this.#hashed >= this.#length) this.#check();
  }

  #check(): void {
    const got = this.#hash.digest('hex');
    const wanted = this.#digest.slice(this.#digest.indexOf(':') + 1);
    if (got !== wanted) {
      throw new RegistryError(
        'digest-mismatch',
        `the bytes of ${this.#digest} have the digest ${got.slice(0, 12)}...: refused`,
      );
    }
  }
}

/**
 * Hands a chunk on and hashes it. The one that holds the last byte is hashed first and may not pass (throws `digest-mismatch`); every other one is with the
 * client while it is hashed. Returns what the sink returns.
 */
export function passOn(gate: DigestGate, chunk: Buffer, offset: number, sink: ByteSink): ReturnType<ByteSink> {
  if (gate.decidesBy(offset + chunk.length)) {
    gate.pass(chunk, offset);
    return sink(chunk);
  }
  const accepted = sink(chunk);
  gate.pass(chunk, offset);
  return accepted;
}

/** A sink that passes everything on by way of `gate`. */
export function gated(gate: DigestGate, sink: ByteSink, start = 0): ByteSink {
  let offset = start;
  return (chunk) => {
    const at = offset;
    offset += chunk.length;
    return passOn(gate, chunk, at, sink);
  };
}
