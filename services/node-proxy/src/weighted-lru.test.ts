import { describe, expect, it } from '@jest/globals';
import { WeightedLru } from './weighted-lru.ts';

describe('WeightedLru', () => {
  it('forgets what was not used for longest', () => {
    const evicted: string[] = [];
    const lru = new WeightedLru<string>(3, (key) => evicted.push(key));
    for (const key of ['a', 'b', 'c']) lru.set(key, key.toUpperCase());
    expect(lru.get('a')).toBe('A');
    lru.set('d', 'D');
    expect(evicted).toEqual(['b']);
    expect([lru.get('a'), lru.get('b'), lru.get('c'), lru.get('d')]).toEqual(['A', undefined, 'C', 'D']);
  });

  it('knows the order of use also when the same value is used again and again', () => {
    const lru = new WeightedLru<number>(2);
    lru.set('a', 1);
    lru.set('b', 2);
    for (const key of ['b', 'b', 'a', 'a', 'b', 'b', 'a']) lru.get(key);
    expect([...lru.entries()].map(([key]) => key)).toEqual(['b', 'a']);
    lru.delete('a');
    lru.set('c', 3);
    lru.get('b');
    lru.set('d', 4);
    expect([...lru.entries()].map(([key]) => key)).toEqual(['b', 'd']);
  });

  it('counts weights, also of a value that is replaced or deleted', () => {
    const lru = new WeightedLru<number>(10);
    lru.set('a', 1, 6);
    lru.set('a', 2, 4);
    lru.set('b', 3, 6);
    expect([lru.weight, lru.size, lru.get('a')]).toEqual([10, 2, 2]);
    expect([lru.delete('b'), lru.delete('b'), lru.weight]).toEqual([true, false, 4]);
  });

  it('makes room for one heavy value by dropping several, and refuses one heavier than everything', () => {
    const lru = new WeightedLru<number>(10);
    for (const key of ['a', 'b', 'c']) lru.set(key, 1, 3);
    lru.set('heavy', 2, 8);
    expect([lru.size, lru.weight, lru.get('heavy')]).toEqual([1, 8, 2]);
    lru.set('heavier', 3, 11);
    expect([lru.get('heavier'), lru.get('heavy')]).toEqual([undefined, 2]);
  });
});
