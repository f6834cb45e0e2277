import { createCipheriv, createHash } from 'node:crypto';

/** Bytes made at a time: large, so that a GiB layer costs few calls and streams well. */
export const CHUNK_BYTES = 1 << 20;

const ZEROS = Buffer.alloc(CHUNK_BYTES);

/**
 * Exactly `length` pseudo-random bytes that depend on `seed` alone, in chunks of at most 1 MiB.
 * It is AES-128-CTR over zeros: several GB/s with the CPU's own instructions, and the same on every machine.
 */
export function* seededBytes(seed: string, length: number): Generator<Buffer, void, undefined> {
  const cipher = createCipheriv(
    'aes-128-ctr',
    createHash('sha256').update(seed).digest().subarray(0, 16),
    Buffer.alloc(16),
  );
  for (let left = length; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(left >= CHUNK_BYTES ? ZEROS : ZEROS.subarray(0, left));
  }
}
