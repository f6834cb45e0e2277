import { describe, expect, it } from '@jest/globals';
import { LastWord } from './last-word.ts';

describe('LastWord', () => {
  it('lets who has something new to say write at once, until it is in place', () => {
    const word = new LastWord(100);
    expect([word.mayWrite('a', 0), word.mayWrite('a', 1)]).toEqual([true, true]);
    word.agree('a');
    expect([word.mayWrite('b', 2), word.mayWrite('b', 3)]).toEqual([true, true]);
  });

  it('has who wants what was in place before wait, from when it first differs', () => {
    const word = new LastWord(100);
    word.agree('a');
    expect([word.mayWrite('a', 50), word.mayWrite('a', 149), word.mayWrite('a', 150)]).toEqual([false, false, true]);
  });

  it('begins to wait anew when it was in place in between', () => {
    const word = new LastWord(100);
    word.agree('a');
    word.mayWrite('a', 0);
    word.agree('a');
    expect([word.mayWrite('a', 100), word.mayWrite('a', 200)]).toEqual([false, true]);
  });

  it('does not take its own half-written change for that of others when it is called back', () => {
    const word = new LastWord(100);
    word.agree('a');
    word.mayWrite('b', 0);
    expect(word.mayWrite('a', 1)).toBe(true);
  });
});
