import { describe, expect, it } from '@jest/globals';
import { sameJson } from './same-json.ts';

describe('sameJson', () => {
  it.each([
    [{ a: 1, b: [{ c: 'x' }] }, { b: [{ c: 'x' }], a: 1 }, true],
    [{ a: 1 }, { a: 1, b: undefined }, false],
    [{ a: undefined }, { b: 1 }, false],
    [{ a: null }, {}, false],
    [{ a: null }, { a: null }, true],
    [[1, 2], [2, 1], false],
    [[], {}, false],
    ['1', 1, false],
    [null, {}, false],
  ])('%j and %j: %s', (a, b, same) => {
    expect(sameJson(a, b)).toBe(same);
    expect(sameJson(b, a)).toBe(same);
  });
});
