import { describe, expect, it } from '@jest/globals';
import * as der from './der.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('DER', () => {
  // X.690 §8.19 and well-known identifiers.
  it.each([
    ['1.2.840.10045.2.1', '06072a8648ce3d0201'],
    ['2.5.29.17', '0603551d11'],
    ['1.3.6.1.4.1.311.21.20', '06092b060104018237' + '1514'],
    ['2.100.3', '0603813403'],
  ])('writes object identifier %s', (dotted, expected) => {
    expect(hex(der.objectId(dotted))).toBe(expected);
  });

  it.each([
    ['00', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0001', '020101'],
    ['ff00', '020300ff00'],
  ])('writes integer %s without needless or missing zeros', (bytes, expected) => {
    expect(hex(der.unsignedInteger(Buffer.from(bytes, 'hex')))).toBe(expected);
  });

  it.each([
    [0, '0400'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_536, '0483010000'],
  ])('writes a length of %i', (size, head) => {
    expect(hex(der.octetString(Buffer.alloc(size))).slice(0, head.length)).toBe(head);
  });

  it('reads back what it wrote, and refuses what is cut short', () => {
    const parts = [der.utf8String('a'), der.octetString(Buffer.alloc(300)), der.boolean(true)];
    const whole = der.sequence(...parts);
    expect(der.children(whole)).toEqual(parts);
    expect(() => der.children(whole.subarray(0, 200))).toThrow(RangeError);
  });
});
