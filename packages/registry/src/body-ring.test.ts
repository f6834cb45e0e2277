import { describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import { BodyRing } from './body-ring.ts';

/** A deterministic stream of numbers in [0, 1). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

describe('BodyRing', () => {
  it.each(Array.from({ length: sized({ usual: 40, full: 1_000 }) }, (_, seed) => [seed]))(
    'hands on every byte once, in order, whatever the pace (seed %i)',
    (seed) => {
      const next = random(seed + 1);
      const size = [64, 256, 1000][seed % 3]!;
      const body = Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * 7 + (at >> 8)) % 251));
      const ring = new BodyRing(Buffer.alloc(size));
      const spare = seed % 4 === 0 ? undefined : Buffer.alloc(size);
      const got: Buffer[] = [];
      let written = 0;
      let out: Buffer | undefined;
      let copy: Buffer | undefined;
      // What the socket was told before it was paused is where it reads after: so the target is fetched when a real one would be.
      let target = ring.target(body.length);
      let total = 0;
      for (let step = 0; total < body.length; step += 1) {
        if (step > 400_000) throw new Error('the ring is stuck');
        if (next() < 0.5 && !ring.full && written < body.length) {
          const bytes = Math.max(1, Math.floor(next() * target.length));
          body.copy(target, 0, written, written + bytes);
          written += bytes;
          ring.wrote(bytes, () => spare);
          target = ring.target(body.length - written);
        } else if (out === undefined) {
          out = ring.take();
          copy = out === undefined ? undefined : Buffer.from(out);
          if (written === body.length && out === undefined) break;
        } else {
          // The chunk must not have changed while it was out.
          if (!out.equals(copy!)) throw new Error('a chunk changed while it was out');
          got.push(copy!);
          total += copy!.length;
          out = undefined;
          ring.release();
        }
      }
      expect(Buffer.concat(got).equals(body)).toBe(true);
    },
  );

  it('lets reading go on while one buffer is out, and stops when both wait', () => {
    const ring = new BodyRing(Buffer.alloc(100));
    const another = () => Buffer.alloc(100);
    ring.target(1000).fill(1);
    ring.wrote(100, another);
    expect(ring.full).toBe(false);
    const out = ring.take()!;
    expect(out).toHaveLength(100);
    ring.target(900).fill(2);
    ring.wrote(100, another);
    expect(ring.full).toBe(true);
    expect(ring.take()![0]).toBe(2);
  });

  it('keeps what comes although it is full, in its order and apart from what is out', () => {
    const ring = new BodyRing(Buffer.alloc(100));
    ring.target(1000).fill(1);
    ring.wrote(100, () => undefined);
    const out = ring.take()!;
    const bytes = Buffer.alloc(150, 2);
    ring.spill(bytes);
    ring.spill(Buffer.alloc(30, 3));
    bytes.fill(9);
    expect(out.every((byte) => byte === 1)).toBe(true);
    const seen: number[] = [];
    // Full again of what was spilt, then of its rest: the socket may go on when all of it is in.
    const goesOn = [ring.release()];
    for (let chunk = ring.take(); chunk !== undefined; chunk = ring.take()) {
      seen.push(...chunk);
      goesOn.push(ring.release());
    }
    expect(seen).toEqual([...Array.from({ length: 150 }, () => 2), ...Array.from({ length: 30 }, () => 3)]);
    expect(goesOn[0]).toBe(false);
    expect(ring.full).toBe(false);
  });

  it('merges what was read behind a chunk that is out', () => {
    const ring = new BodyRing(Buffer.alloc(1000));
    ring.wrote(10, () => undefined);
    expect(ring.take()).toHaveLength(10);
    ring.wrote(20, () => undefined);
    ring.wrote(30, () => undefined);
    ring.release();
    expect(ring.take()).toHaveLength(50);
  });

  it('never asks for more than is left', () => {
    expect(new BodyRing(Buffer.alloc(1000)).target(7)).toHaveLength(7);
  });
});
