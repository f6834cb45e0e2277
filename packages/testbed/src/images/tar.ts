import { seededBytes } from './seeded-bytes.ts';

const BLOCK = 512;

type Mode = '0000644' | '0000755';

/** A ustar header of one regular file, owned by root, with no date: the same file always gives the same bytes (POSIX pax, ustar). */
function tarHeader(name: string, size: number, mode: Mode = '0000644'): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100, 'utf8');
  header.write(`${mode}\0`, 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(octal(size, 12), 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** A tar with one file of `size` pseudo-random bytes, in chunks. */
export function* seededTar(name: string, seed: string, size: number): Generator<Buffer, void, undefined> {
  yield tarHeader(name, size);
  yield* seededBytes(seed, size);
  yield Buffer.alloc(padding(size) + 2 * BLOCK);
}

/** A tar with one small file. */
export function tarFile(name: string, content: Buffer, mode?: Mode): Buffer {
  return tarOf([{ name, content, ...(mode && { mode }) }]);
}

/** A tar of small files, in the order given; folders are understood from the names. */
export function tarOf(files: readonly { name: string; content: Buffer; mode?: Mode }[]): Buffer {
  const members = files.flatMap(({ name, content, mode }) => [
    tarHeader(name, content.length, mode),
    content,
    Buffer.alloc(padding(content.length)),
  ]);
  return Buffer.concat([...members, Buffer.alloc(2 * BLOCK)]);
}

/** Bytes that fill a member's last block. */
function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** An octal field with its closing NUL. */
function octal(value: number, width: number): string {
  const digits = value.toString(8);
  if (digits.length >= width) throw new RangeError(`a tar member of ${value} bytes is past what ustar can say (8 GiB)`);
  return `${digits.padStart(width - 1, '0')}\0`;
}
