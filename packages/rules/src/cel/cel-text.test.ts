import { describe, expect, it } from '@jest/globals';
import { allOf, anyOf, celString, celStrings } from './cel-text.ts';

describe('CEL texts', () => {
  it.each([
    ['nginx', '"nginx"'],
    ['^docker\\.io/', 'r"^docker\\.io/"'],
    ['say "x"', '"say \\"x\\""'],
    ['\\."x"', '"\\\\.\\"x\\""'],
    ['ends with \\', '"ends with \\\\"'],
    ['line\n\\', '"line\\n\\\\"'],
    ['a\\\u0000b', '"a\\\\\\u0000b"'],
    ["it's", '"it\'s"'],
    ['', '""'],
  ])('%j is %s', (text, literal) => expect(celString(text)).toBe(literal));

  it('joins terms, none of them included', () => {
    expect([anyOf([]), anyOf(['a', 'b && c'])]).toEqual(['false', '(a) || (b && c)']);
    expect([allOf([]), allOf(['a', 'b || c'])]).toEqual(['true', '(a) && (b || c)']);
    expect(celStrings(['a', 'b'])).toBe('["a", "b"]');
  });
});
