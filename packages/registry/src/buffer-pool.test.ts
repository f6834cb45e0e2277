import { describe, expect, it } from '@jest/globals';
import { BufferPool, bufferSize } from './buffer-pool.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

describe('bufferSize', () => {
  it.each([
    [0, 1 * MiB],
    [31 * MiB, 1 * MiB],
    [31.5 * MiB, 256 * KiB],
    [47.75 * MiB, 256 * KiB],
    [48 * MiB, 64 * KiB],
    [64 * MiB, 64 * KiB],
  ])('%i used of 64 MiB: %i', (used, size) => {
    expect(bufferSize(used, 64 * MiB, 1 * MiB, 64 * KiB)).toBe(size);
  });
});

describe('BufferPool', () => {
  it('gives large buffers to few and small ones to many, and never more than its sum', () => {
    const pool = new BufferPool({ totalBytes: 8 * MiB });
    const given: Buffer[] = [];
    for (let buffer = pool.tryAcquire(); buffer !== undefined; buffer = pool.tryAcquire()) given.push(buffer);
    expect(given[0]).toHaveLength(MiB);
    expect(given.at(-1)).toHaveLength(64 * KiB);
    expect(pool.usedBytes).toBeLessThanOrEqual(8 * MiB);
    expect(pool.usedBytes).toBeGreaterThan(8 * MiB - 64 * KiB - 1);
    for (const buffer of given) pool.release(buffer);
    expect(pool.usedBytes).toBe(0);
    expect(pool.tryAcquire()).toHaveLength(MiB);
    pool.close();
  });

  it('uses freed buffers again', () => {
    const pool = new BufferPool({ totalBytes: 8 * MiB });
    const first = pool.tryAcquire()!;
    pool.release(first);
    expect(pool.tryAcquire()).toBe(first);
    pool.close();
  });

  it('gives a kept buffer that is larger than needed rather than to drop it for a new one', () => {
    const pool = new BufferPool({ totalBytes: 4 * MiB, maxBytes: MiB, minBytes: 64 * KiB });
    const large = [pool.tryAcquire()!, pool.tryAcquire()!];
    const middle = pool.tryAcquire()!;
    expect(middle).toHaveLength(256 * KiB);
    pool.release(large[1]!);
    pool.release(middle);
    expect(pool.tryAcquire()).toBe(large[1]);
    expect(pool.tryAcquire()).toBe(middle);
    const again = pool.tryAcquire()!;
    pool.release(large[0]!);
    expect(again).toHaveLength(256 * KiB);
    expect(pool.tryAcquire()).toBe(large[0]);
    pool.close();
  });

  it('does not keep more than its sum when sizes change', () => {
    const pool = new BufferPool({ totalBytes: 2 * MiB, maxBytes: MiB, minBytes: 64 * KiB });
    for (let round = 0; round < 20; round += 1) {
      const given: Buffer[] = [];
      for (let buffer = pool.tryAcquire(); buffer !== undefined; buffer = pool.tryAcquire()) given.push(buffer);
      expect(pool.heldBytes).toBeLessThanOrEqual(2 * MiB);
      for (const buffer of round % 2 === 0 ? given : given.reverse()) pool.release(buffer);
    }
    pool.close();
  });

  it('makes late comers wait in order, and lets them give up', async () => {
    const pool = new BufferPool({ totalBytes: 64 * KiB, maxBytes: 64 * KiB });
    const held = await pool.acquire();
    const order: string[] = [];
    const gone = new AbortController();
    const waiting = [
      pool.acquire().then((buffer) => (order.push('first'), buffer)),
      pool.acquire(gone.signal).catch(() => void order.push('gave up')),
      pool.acquire().then((buffer) => (order.push('last'), buffer)),
    ];
    gone.abort();
    await waiting[1];
    pool.release(held);
    pool.release((await waiting[0])!);
    await waiting[2];
    expect(order).toEqual(['gave up', 'first', 'last']);
    await expect(pool.acquire(AbortSignal.abort())).rejects.toBeDefined();
    pool.close();
  });

  it('gives those who wait for nobody a small one beyond its sum, and uses that again, too', () => {
    const pool = new BufferPool({ totalBytes: 128 * KiB, maxBytes: 64 * KiB, minBytes: 64 * KiB });
    const pooled = [pool.borrow(), pool.borrow()];
    const beyond = pool.borrow();
    expect([...pooled, beyond].map(({ length }) => length)).toEqual([64 * KiB, 64 * KiB, 16 * KiB]);
    expect(pool.usedBytes).toBe(128 * KiB);
    pool.release(beyond);
    expect(pool.borrow()).toBe(beyond);
    pool.release(pooled[0]!);
    expect(pool.borrow()).toBe(pooled[0]);
    pool.close();
  });

  it('gives nobody another one once half of it is used', () => {
    const pool = new BufferPool({ totalBytes: 4 * MiB, maxBytes: MiB, minBytes: 64 * KiB });
    expect([pool.borrow(), pool.tryAnother(), pool.tryAnother()].map((buffer) => buffer?.length)).toEqual([
      MiB,
      MiB,
      undefined,
    ]);
    expect(pool.borrow()).toBeDefined();
    pool.close();
  });
});
