import { describe, expect, it } from '@jest/globals';
import { Breaker } from './breaker.ts';

function world() {
  const clock = { now: 0 };
  return { clock, breaker: new Breaker({ failures: 3, openMs: 5000, now: () => clock.now }) };
}

describe('Breaker', () => {
  it('opens after three failures in a row, not before', () => {
    const { breaker } = world();
    breaker.failed();
    breaker.failed();
    expect(breaker.admit()).toBe(true);
    breaker.succeeded();
    breaker.failed();
    breaker.failed();
    expect([breaker.open, breaker.admit()]).toEqual([false, true]);
    breaker.failed();
    expect([breaker.open, breaker.admit()]).toEqual([true, false]);
  });

  it('lets exactly one probe through when the time is over', () => {
    const { breaker, clock } = world();
    for (let i = 0; i < 3; i += 1) breaker.failed();
    clock.now = 4999;
    expect(breaker.admit()).toBe(false);
    clock.now = 5000;
    expect([breaker.admit(), breaker.admit(), breaker.admit()]).toEqual([true, false, false]);
  });

  it('closes on a good probe and waits again after a bad one', () => {
    const { breaker, clock } = world();
    for (let i = 0; i < 3; i += 1) breaker.failed();
    clock.now = 5000;
    breaker.admit();
    breaker.failed();
    clock.now = 9999;
    expect(breaker.admit()).toBe(false);
    clock.now = 10_000;
    expect(breaker.admit()).toBe(true);
    breaker.succeeded();
    expect([breaker.open, breaker.admit(), breaker.admit()]).toEqual([false, true, true]);
  });

  it('replaces a probe that never reported', () => {
    const { breaker, clock } = world();
    for (let i = 0; i < 3; i += 1) breaker.failed();
    clock.now = 5000;
    breaker.admit();
    clock.now = 10_000;
    expect(breaker.admit()).toBe(true);
  });
});
