import { describe, expect, it } from '@jest/globals';
import { formatDuration, parseDuration } from './units.ts';

describe('parseDuration', () => {
  it.each([
    ['0', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['1h30m', 5_400_000],
    ['30d', 2_592_000_000],
    ['1w', 604_800_000],
    [' 2s ', 2000],
  ])('reads %j', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '5', 'm', '5 m', '-5m', '5x', '1h-30m', 'Infinity', '1e3s'])('refuses %j', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it.each([0, 1, 999, 1000, 5_400_000, 2_592_000_000, 90_061_001])('is the inverse of formatDuration for %d', (ms) => {
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  });
});
