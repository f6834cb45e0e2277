import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { BufferPool } from '@kuik/registry';
import { SpoolFile } from './spool-file.ts';

const KiB = 1024;
const bytes = Buffer.from('some bytes of a blob');

describe('SpoolFile', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'kuik-spool-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const open = () => SpoolFile.open(folder, 'key', 'blob', bytes.length);

  it('is found again with what it holds, when it is kept', async () => {
    const first = await open();
    await first.write(bytes, 0);
    await first.close(true);
    const next = await open();
    expect(next.have.endOf(0)).toBe(bytes.length);
    await next.close(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('shows what somebody left, and changes nothing of it', async () => {
    const peek = () => SpoolFile.peek(folder, 'key', 'blob');
    expect(await peek()).toBeUndefined();
    const first = await open();
    await first.write(bytes.subarray(0, 4), 0);
    await first.close(true);
    const shown = await peek();
    expect([shown?.size, shown?.have.endOf(0)]).toEqual([bytes.length, 4]);
    expect(String(await shown?.read(Buffer.alloc(4), 0, 4))).toBe('some');
    await shown?.close(false);
    expect(await SpoolFile.peek(folder, 'another', 'blob')).toBeUndefined();
    const next = await open();
    expect(next.have.endOf(0)).toBe(4);
    await next.close(false);
  });

  it('gives with memory what came last without reading it, and the rest from the file', async () => {
    const pool = new BufferPool({ totalBytes: 64 * KiB, maxBytes: 4 * KiB, minBytes: 4 * KiB });
    const blob = randomBytes(90 * KiB);
    const of = () => SpoolFile.open(folder, 'key', 'blob', blob.length, { pool, blockBytes: 4 * KiB });
    const all = async (spool: SpoolFile): Promise<Buffer> => {
      const parts: Buffer[] = [];
      for (let at = 0; at < blob.length; at += parts.at(-1)!.length)
        parts.push(Buffer.from(await spool.read(Buffer.alloc(7 * KiB), at, blob.length - at)));
      return Buffer.concat(parts);
    };
    const first = await of();
    for (let at = 0; at < blob.length; at += 3 * KiB) await first.write(blob.subarray(at, at + 3 * KiB), at);
    expect((await all(first)).equals(blob)).toBe(true);
    expect(first.hold(0, 1)).toBeUndefined();
    const last = first.hold(blob.length - 1, 1)!;
    expect(last.bytes[0]).toBe(blob.at(-1));
    last.release();
    await first.close(true);
    expect(pool.usedBytes).toBe(0);
    const next = await of();
    expect((await all(next)).equals(blob)).toBe(true);
    await next.close(false);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('makes no file of a small blob with memory, unless it is kept', async () => {
    const pool = new BufferPool({ totalBytes: 64 * KiB, maxBytes: 4 * KiB, minBytes: 4 * KiB });
    const small = () => SpoolFile.open(folder, 'key', 'blob', bytes.length, { pool, blockBytes: 4 * KiB });
    const files: string[][] = [];
    for (const keep of [false, true, true]) {
      const spool = await small();
      if (spool.have.endOf(0) === 0) await spool.write(bytes, 0);
      files.push(readdirSync(folder));
      expect(String(await spool.read(Buffer.alloc(99), 0, 99))).toBe(String(bytes));
      await spool.close(keep);
      files.push(readdirSync(folder));
    }
    const kept = ['blob', 'blob.json', 'blob.spans'];
    expect(files).toEqual([[], [], [], kept, kept, kept]);
  });

  it('lists each chunk as it is written: a process that is killed leaves all of it, in few records', async () => {
    const peek = async () => {
      const shown = await SpoolFile.peek(folder, 'key', 'blob');
      await shown?.close(false);
      return shown?.have.spans;
    };
    const killed = await open();
    for (const at of [0, 10, 2, 12, 4]) await killed.write(bytes.subarray(at, at + 2), at);
    expect(await peek()).toEqual([
      { from: 0, to: 6 },
      { from: 10, to: 14 },
    ]);
    expect(statSync(path.join(folder, 'blob.spans')).size).toBe(2 * 16);
    const next = await open();
    await next.write(bytes.subarray(6, 10), 6);
    expect(await peek()).toEqual([{ from: 0, to: 14 }]);
    await Promise.all([killed.close(true), next.close(true)]);
  });

  it('holds nothing of another size, or another blob', async () => {
    const first = await open();
    await first.write(bytes, 0);
    await first.close(true);
    const other = await SpoolFile.open(folder, 'key', 'blob', bytes.length + 1);
    expect(other.have.spans).toEqual([]);
    await other.close(true);
  });

  it('is closed although its list cannot be written, and holds nothing for the next one', async () => {
    const first = await open();
    await first.write(bytes, 0);
    rmSync(folder, { recursive: true });
    await first.close(true);
    await expect(first.read(Buffer.alloc(1), 0, 1)).rejects.toThrow('closed');
    const next = await open();
    expect(next.have.endOf(0)).toBe(0);
    await next.close(false);
  });
});
