import { describe, expect, it } from '@jest/globals';
import { duration, formatDuration, parseDuration } from './duration.ts';

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

describe('a setting that is a duration', () => {
  const setting = duration({ minMs: 10, maxMs: 60_000 }).default(1000);

  it.each<[unknown, number]>([
    [undefined, 1000],
    ['250ms', 250],
    ['1m', 60_000],
  ])('reads %j', (written, ms) => {
    expect(setting.parse(written)).toBe(ms);
  });

  it.each<[unknown, string]>([
    [5, '5 is not a duration; write 500ms, 30s, 5m, 1h30m or 30d'],
    ['500', '"500" is not a duration; write 500ms, 30s, 5m, 1h30m or 30d'],
    ['soon', '"soon" is not a duration; write 500ms, 30s, 5m, 1h30m or 30d'],
    ['0', 'must be at least 10ms'],
    ['1m1ms', 'must be at most 1m'],
  ])('refuses %j and says why', (written, mistake) => {
    expect(setting.safeParse(written).error?.issues.map(({ message }) => message)).toEqual([mistake]);
  });
});
