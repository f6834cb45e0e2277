import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Patience } from './patience.ts';

describe('Patience', () => {
  let over: string[];
  let patience: Patience;
  beforeEach(() => {
    jest.useFakeTimers();
    over = [];
    patience = new Patience((what) => {
      over.push(what);
      patience.stir();
    });
  });
  afterEach(() => {
    patience.close();
    jest.useRealTimers();
  });

  it('ends a wait at its limit, not at that of an earlier one', async () => {
    void patience.wait(100, () => 'first');
    await jest.advanceTimersByTimeAsync(60);
    patience.stir();
    const second = patience.wait(100, () => 'second');
    await jest.advanceTimersByTimeAsync(99);
    expect(over).toEqual([]);
    await jest.advanceTimersByTimeAsync(2);
    await second;
    expect(over).toEqual(['second']);
  });

  it('ends a wait that is shorter than the one before', async () => {
    void patience.wait(10_000, () => 'long');
    patience.stir();
    void patience.wait(50, () => 'short');
    await jest.advanceTimersByTimeAsync(51);
    expect(over).toEqual(['short']);
  });

  it('says nothing of waits that ended in time, and has one timer for all of them', async () => {
    for (let round = 0; round < 50; round += 1) {
      void patience.wait(100, () => 'never');
      expect(jest.getTimerCount()).toBe(1);
      await jest.advanceTimersByTimeAsync(10);
      patience.stir();
    }
    await jest.advanceTimersByTimeAsync(1_000);
    expect(over).toEqual([]);
    expect(jest.getTimerCount()).toBe(0);
  });
});
