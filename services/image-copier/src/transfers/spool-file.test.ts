import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { SpoolFile } from './spool-file.ts';

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
