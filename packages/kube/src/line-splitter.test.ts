import { describe, expect, it } from '@jest/globals';
import { LineSplitter } from './line-splitter.ts';

const split = (chunks: readonly Uint8Array[]): string[] => {
  const splitter = new LineSplitter();
  return [...chunks.flatMap((chunk) => splitter.push(chunk)), splitter.rest()];
};

describe('LineSplitter', () => {
  it.each([
    [['one\n'], ['one', '']],
    [['one\ntwo\n'], ['one', 'two', '']],
    [
      ['on', 'e\nt', 'wo', '\n'],
      ['one', 'two', ''],
    ],
    [['one\n\n\ntwo'], ['one', 'two']],
    [['\n', 'x'], ['x']],
    [[], ['']],
  ])('%j', (chunks, expected) => {
    expect(split(chunks.map((chunk) => Buffer.from(chunk)))).toEqual(expected);
  });

  it('keeps characters whole wherever they are cut', () => {
    const bytes = Buffer.from('Zürich 🏔\n東京\n');
    for (let size = 1; size <= bytes.length; size++) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
        bytes.subarray(i * size, (i + 1) * size),
      );
      expect(split(chunks)).toEqual(['Zürich 🏔', '東京', '']);
    }
  });

  it('does not gather a line without end', () => {
    const splitter = new LineSplitter(10);
    splitter.push(Buffer.from('123456'));
    expect(() => splitter.push(Buffer.from('7890a'))).toThrow('a line of more than 10 bytes');
    expect(new LineSplitter(10).push(Buffer.from('12345678\n123\n'))).toEqual(['12345678', '123']);
  });
});
