import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { AHEAD_BYTES, NEAR_BYTES, nextRead, readAhead, willBeWhole, type Reading } from './next-read.ts';
import { SpanSet } from './span-set.ts';

describe('SpanSet', () => {
  it('is the set of its bytes, in as few spans as there can be', () => {
    const span = fc.tuple(fc.nat(40), fc.nat(12)).map(([from, length]) => ({ from, to: from + length }));
    fc.assert(
      fc.property(fc.array(span), (spans) => {
        const set = new SpanSet(spans);
        const bytes = new Set(spans.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)));
        const listed = set.spans.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i));
        expect(listed).toEqual([...bytes].sort((a, b) => a - b));
        for (let at = 0; at < 54; at += 1) expect(set.endOf(at) > at).toBe(bytes.has(at));
        for (const [i, { to }] of set.spans.entries()) expect(to < (set.spans[i + 1]?.from ?? Infinity)).toBe(true);
      }),
    );
  });
});

describe('nextRead', () => {
  const MiB = 1024 * 1024;
  const have = new SpanSet([
    { from: 0, to: 4 },
    { from: 10, to: 12 },
  ]);
  it.each<[string, number, Reading[], object]>([
    ['known', 2, [], { do: 'serve', to: 4 }],
    ['read to the next known byte', 4, [], { do: 'read', span: { from: 4, to: 10 } }],
    [
      'read a piece beside another read',
      12,
      [{ at: 5, to: 10 }],
      { do: 'read', span: { from: 12, to: 12 + NEAR_BYTES } },
    ],
    ['read to the end', 12, [], { do: 'read', span: { from: 12, to: 64 * MiB } }],
    ['brought by a read under way', 6, [{ at: 5, to: 10 }], { do: 'wait' }],
    ['behind a read under way', 4, [{ at: 5, to: 10 }], { do: 'read', span: { from: 4, to: 5 } }],
    ['after the end of a read', 7, [{ at: 5, to: 7 }], { do: 'read', span: { from: 7, to: 10 } }],
    [
      'far ahead of the read that would come',
      12 + NEAR_BYTES,
      [{ at: 12, to: 64 * MiB }],
      { do: 'read', span: { from: 12 + NEAR_BYTES, to: 12 + 2 * NEAR_BYTES } },
    ],
  ])('%s', (_what, at, readings, expected) => {
    expect(nextRead({ have, readings, pieces: false }, at, 64 * MiB)).toEqual(expected);
  });

  it('reads no further than somebody wants', () => {
    expect(nextRead({ have, readings: [], pieces: true }, 12, 20)).toEqual({ do: 'read', span: { from: 12, to: 20 } });
  });

  it('reads pieces only while somebody fetches them', () => {
    const span = { from: 12, to: 12 + NEAR_BYTES };
    expect(nextRead({ have, readings: [{ at: 5, to: 12 }], pieces: true }, 12, 64 * MiB)).toEqual({ do: 'read', span });
  });

  it.each<[string, number, number, Reading[], object | undefined]>([
    ['a read is about to end', 12, 64 * MiB, [{ at: 12, to: 40 }], { from: 40, to: 64 * MiB }],
    ['it has more to bring', 12, 64 * MiB, [{ at: 12, to: 13 + AHEAD_BYTES }], undefined],
    ['it ends where known bytes begin', 4, 12, [{ at: 5, to: 10 }], undefined],
    [
      'it ends where another begins',
      12,
      64 * MiB,
      [
        { at: 12, to: 40 },
        { at: 41, to: 90 * MiB },
      ],
      { from: 40, to: 41 },
    ],
    ['nobody wants more', 12, 40, [{ at: 12, to: 40 }], undefined],
    ['it is not on the way', 4, 64 * MiB, [{ at: 14, to: 40 }], undefined],
  ])('reads ahead when %s', (_what, at, to, readings, expected) => {
    expect(readAhead({ have, readings, pieces: false }, at, to)).toEqual(expected);
  });

  it('knows whether the whole will be known', () => {
    expect(willBeWhole({ have, readings: [{ at: 4, to: 10 }] }, 12)).toBe(true);
    expect(willBeWhole({ have, readings: [{ at: 5, to: 10 }] }, 12)).toBe(false);
    expect(willBeWhole({ have, readings: [{ at: 4, to: 10 }] }, 13)).toBe(false);
  });
});
