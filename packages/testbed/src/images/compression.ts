import { crc32 } from 'node:zlib';

const DEFLATE_STORED_MAX = 0xffff;
const ZSTD_BLOCK_MAX = 128 * 1024;

/**
 * A gzip member whose blocks are stored, not compressed (RFC 1951 §3.2.4, RFC 1952). Random bytes do not shrink anyway, it costs
 * next to nothing, and no zlib version can ever change a digest. No time stamp, no name.
 */
export function* storedGzip(source: Iterable<Buffer>): Generator<Buffer, void, undefined> {
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  let crc = 0;
  let size = 0;
  for (const chunk of source) {
    crc = crc32(chunk, crc);
    size += chunk.length;
    const blocks = Math.ceil(chunk.length / DEFLATE_STORED_MAX);
    const out = Buffer.allocUnsafe(chunk.length + 5 * blocks);
    let to = 0;
    for (let from = 0; from < chunk.length; from += DEFLATE_STORED_MAX) {
      const length = Math.min(DEFLATE_STORED_MAX, chunk.length - from);
      to = out.writeUInt8(0, to);
      to = out.writeUInt16LE(length, to);
      to = out.writeUInt16LE(~length & 0xffff, to);
      to += chunk.copy(out, to, from, from + length);
    }
    yield out;
  }
  const end = Buffer.alloc(13);
  end.set([1, 0, 0, 0xff, 0xff]);
  end.writeUInt32LE(crc, 5);
  end.writeUInt32LE(size % 2 ** 32, 9);
  yield end;
}

/** A zstd frame of raw blocks, without content size and checksum (RFC 8878 §3.1.1). */
export function* rawZstd(source: Iterable<Buffer>): Generator<Buffer, void, undefined> {
  const windowOf128KiB = 7 << 3;
  yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, windowOf128KiB]);
  for (const chunk of source) {
    const blocks = Math.ceil(chunk.length / ZSTD_BLOCK_MAX);
    const out = Buffer.allocUnsafe(chunk.length + 3 * blocks);
    let to = 0;
    for (let from = 0; from < chunk.length; from += ZSTD_BLOCK_MAX) {
      const length = Math.min(ZSTD_BLOCK_MAX, chunk.length - from);
      to = out.writeUIntLE(length << 3, to, 3);
      to += chunk.copy(out, to, from, from + length);
    }
    yield out;
  }
  yield Buffer.from([1, 0, 0]);
}
