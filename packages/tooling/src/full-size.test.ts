import { afterAll, describe, expect, it } from '@jest/globals';
import { FULL_SIZE_VARIABLE, sized } from './full-size.ts';

const before = process.env[FULL_SIZE_VARIABLE];
afterAll(() => {
  if (before === undefined) delete process.env[FULL_SIZE_VARIABLE];
  else process.env[FULL_SIZE_VARIABLE] = before;
});

describe('sized', () => {
  it.each([
    [undefined, 'usual'],
    ['', 'usual'],
    ['0', 'usual'],
    ['1', 'full'],
  ])('with %j is %s', (value, size) => {
    if (value === undefined) delete process.env[FULL_SIZE_VARIABLE];
    else process.env[FULL_SIZE_VARIABLE] = value;
    expect(sized({ usual: 'usual', full: 'full' })).toBe(size);
  });
});
