import { describe, expect, it } from '@jest/globals';
import { BriefMemory } from './brief-memory.ts';

describe('BriefMemory', () => {
  it('shares one question, remembers its answer for a moment, and forgets it', async () => {
    let now = 0;
    let asked = 0;
    const memory = new BriefMemory<number>({ forMs: 2000, entries: 10, now: () => now });
    const ask = async () => (asked += 1);
    expect(await Promise.all([memory.get('a', ask), memory.get('a', ask), memory.get('b', ask)])).toEqual([1, 1, 2]);
    now = 1999;
    expect(await memory.get('a', ask)).toBe(1);
    now = 2000;
    expect(await memory.get('a', ask)).toBe(3);
  });

  it('does not remember failures', async () => {
    const memory = new BriefMemory<number>({ forMs: 2000, entries: 10, now: () => 0 });
    await expect(memory.get('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await memory.get('a', async () => 7)).toBe(7);
  });
});
