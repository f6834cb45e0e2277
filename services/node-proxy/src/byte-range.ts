/** A byte range as it was asked for, before the size is known. */
export type AskedRange = { readonly first: number; readonly last?: number } | { readonly suffix: number };

/** The bytes to send: `first` to `last`, both inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A range that holds no byte of anything. */
const NOTHING: AskedRange = { suffix: 0 };

/**
 * Reads a `Range` header (RFC 9110 §14.1.2). Undefined means "send the whole": no header, another unit, several ranges, or a
 * malformed one, all of which a server may ignore. One that ends before it begins asks for nothing: registries answer 416, and what tests them
 * (the distribution spec's conformance suite) wants that.
 */
export function parseRange(header: string | undefined): AskedRange | undefined {
  const match = header === undefined ? null : /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (match === null) return undefined;
  const [, first, last] = match;
  if (first === '') return last === '' ? undefined : { suffix: Number(last) };
  if (last === '') return { first: Number(first) };
  return Number(last) < Number(first) ? NOTHING : { first: Number(first), last: Number(last) };
}

/** The asked range within a body of `size` bytes; `unsatisfiable` when it holds none of them (answer 416). */
export function satisfy(asked: AskedRange, size: number): ByteRange | 'unsatisfiable' {
  if ('suffix' in asked) {
    if (asked.suffix === 0 || size === 0) return 'unsatisfiable';
    return { first: Math.max(0, size - asked.suffix), last: size - 1 };
  }
  if (asked.first >= size) return 'unsatisfiable';
  return { first: asked.first, last: Math.min(asked.last ?? size - 1, size - 1) };
}
