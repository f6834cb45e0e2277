import { describe, expect, it } from '@jest/globals';
import { difference } from './end-state.ts';
import { seeded } from './seeded.ts';

describe('seeded', () => {
  it('gives the same round for the same seed, another for another', () => {
    const items = Array.from({ length: 20 }, (_, index) => index);
    expect(seeded(7).shuffled(items)).toEqual(seeded(7).shuffled(items));
    expect(seeded(7).shuffled(items)).not.toEqual(seeded(8).shuffled(items));
    expect([...seeded(7).shuffled(items)].sort((a, b) => a - b)).toEqual(items);
  });

  it('stays within its limit', () => {
    const random = seeded(1);
    for (let draw = 0; draw < 1000; draw += 1) expect([0, 1, 2]).toContain(random.below(3));
  });
});

describe('difference', () => {
  it('names what is missing and what is too much', () => {
    expect(difference(['a', 'b'], ['b', 'c'])).toEqual(['- a', '+ c']);
    expect(difference(['a'], ['a'])).toEqual([]);
  });
});
