import { describe, expect, it } from '@jest/globals';
import { BufferPool } from '@kuik/registry';
import { SpoolBlocks } from './spool-blocks.ts';

const BLOCK = 10;
const bytes = Buffer.from('abcdefghij'.repeat(20));

/** Blocks of ten bytes, and a file that is written at once (`follows`) or when it is told to. */
function world({ size = bytes.length, poolBlocks = 100, follows = false } = {}) {
  const pool = new BufferPool({ totalBytes: poolBlocks * BLOCK, maxBytes: BLOCK, minBytes: BLOCK });
  const saves: { at: number; text: string; end: PromiseWithResolvers<void> }[] = [];
  const blocks = new SpoolBlocks({
    pool,
    blockBytes: BLOCK,
    size,
    save(part, at) {
      const end = Promise.withResolvers<void>();
      saves.push({ at, text: String(part), end });
      if (follows) end.resolve();
      return end.promise;
    },
  });
  /** How many of the bytes it took. */
  const put = (from: number, to: number): number => {
    let at = from;
    for (let taken = 1; at < to && taken > 0; at += taken) taken = blocks.take(bytes.subarray(at, to), at);
    return at - from;
  };
  const held = (at: number, length = 100): string | undefined => {
    const part = blocks.hold(at, length);
    part?.release();
    return part && String(part.bytes);
  };
  const written = async (): Promise<void> => {
    for (const { end } of saves) end.resolve();
    await Promise.all(saves.map(({ end }) => end.promise));
  };
  return { pool, blocks, saves, put, held, written, ranges: () => saves.map(({ at, text }) => [at, text.length]) };
}

describe('SpoolBlocks', () => {
  it('gives what came last, and writes it block by block', () => {
    const { put, held, ranges } = world();
    expect(put(3, 28)).toBe(25);
    expect([held(3), held(12, 4), held(13), held(27), held(2), held(28)]).toEqual([
      'defghijabc',
      'c',
      'defghijabc',
      'h',
      undefined,
      undefined,
    ]);
    expect(ranges()).toEqual([
      [3, 10],
      [13, 10],
    ]);
  });

  it('goes on in the block that a chunk fits to, whichever read it is of', () => {
    const { put, held, saves } = world();
    put(0, 4);
    put(50, 55);
    put(4, 8);
    put(55, 60);
    expect([held(0), held(50)]).toEqual(['abcdefgh', 'abcdefghij']);
    expect(saves.map(({ at }) => at)).toEqual([50]);
  });

  it('takes nothing while the file does not follow, and forgets the oldest when it does', async () => {
    const { put, held, written } = world();
    expect(put(0, 200)).toBe(80);
    expect(put(80, 200)).toBe(0);
    await written();
    expect(put(80, 90)).toBe(10);
    expect([held(0), held(10), held(80)]).toEqual([undefined, 'abcdefghij', 'abcdefghij']);
  });

  it('takes nothing when others use the memory, and gives back what it had', async () => {
    const { put, pool, blocks, written } = world({ poolBlocks: 2 });
    expect(put(0, 40)).toBe(20);
    const part = blocks.hold(0, 5)!;
    await written();
    await blocks.close();
    expect([String(part.bytes), pool.usedBytes]).toEqual(['abcde', BLOCK]);
    part.release();
    expect(pool.usedBytes).toBe(0);
  });

  it('writes a small blob only when it is to be kept', async () => {
    const { put, blocks, ranges } = world({ size: 35, follows: true });
    put(0, 35);
    expect(ranges()).toEqual([]);
    await blocks.flush();
    expect(ranges().map(([at]) => at)).toEqual([0, 10, 20, 30]);
  });

  it('says at the next chunk, and at the end, that one could not be written', async () => {
    const { put, blocks, saves } = world();
    put(0, 12);
    saves[0]!.end.reject(new Error('disk full'));
    await expect(blocks.flush()).rejects.toThrow('disk full');
    expect(() => put(12, 14)).toThrow('disk full');
  });
});
