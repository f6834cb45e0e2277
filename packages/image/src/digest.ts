import { createHash } from 'node:crypto';

/** Hex length of each digest algorithm that registries use (OCI image spec, descriptor.md). */
const HEX_LENGTH = { sha256: 64, sha384: 96, sha512: 128 } as const;

export type DigestAlgorithm = keyof typeof HEX_LENGTH;

export interface Digest {
  readonly algorithm: DigestAlgorithm;
  readonly hex: string;
}

/** Parses `algorithm:hex`; undefined when the algorithm is unknown, or the hex is upper case or of the wrong length. */
export function parseDigest(text: string): Digest | undefined {
  const colon = text.indexOf(':');
  const algorithm = text.slice(0, colon);
  const hex = text.slice(colon + 1);
  if (!Object.hasOwn(HEX_LENGTH, algorithm)) return undefined;
  if (hex.length !== HEX_LENGTH[algorithm as DigestAlgorithm] || !/^[0-9a-f]+$/.test(hex)) return undefined;
  return { algorithm: algorithm as DigestAlgorithm, hex };
}

/** True for a well-formed digest with its algorithm. */
export function isDigest(text: string): boolean {
  return parseDigest(text) !== undefined;
}

/** The digest of bytes, `sha256:<hex>` unless told otherwise. */
export function digestOf(bytes: Uint8Array | string, algorithm: DigestAlgorithm = 'sha256'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** Lower-case hex sha256 of a text, cut to `length` digits. */
export function shortHash(text: string, length: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, length);
}
