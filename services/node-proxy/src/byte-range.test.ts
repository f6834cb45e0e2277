import { describe, expect, it } from '@jest/globals';
import { parseRange, satisfy } from './byte-range.ts';

describe('byte ranges', () => {
  it.each([
    ['bytes=0-0', 10, { first: 0, last: 0 }],
    ['bytes=2-5', 10, { first: 2, last: 5 }],
    ['bytes=2-500', 10, { first: 2, last: 9 }],
    ['bytes=9-', 10, { first: 9, last: 9 }],
    ['bytes=0-', 10, { first: 0, last: 9 }],
    ['bytes=-3', 10, { first: 7, last: 9 }],
    ['bytes=-300', 10, { first: 0, last: 9 }],
    [' bytes=2-5 ', 10, { first: 2, last: 5 }],
  ])('%s of %d bytes', (header, size, expected) => {
    expect(satisfy(parseRange(header)!, size)).toEqual(expected);
  });

  it.each([
    ['bytes=10-', 10],
    ['bytes=5-2', 10],
    ['bytes=11-20', 10],
    ['bytes=-0', 10],
    ['bytes=0-', 0],
    ['bytes=-1', 0],
    ['bytes=999999999999999-', 10],
  ])('%s of %d bytes holds nothing', (header, size) => {
    expect(satisfy(parseRange(header)!, size)).toBe('unsatisfiable');
  });

  it.each([
    undefined,
    '',
    'bytes=',
    'bytes=-',
    'bytes=1-2,4-5',
    'items=1-2',
    'bytes=a-b',
    'bytes=1-2x',
    'bytes=+1-2',
    'bytes=9999999999999999-',
  ])('%s is ignored: the whole is sent', (header) => {
    expect(parseRange(header)).toBeUndefined();
  });
});
