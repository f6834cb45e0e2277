import { describe, expect, it } from '@jest/globals';
import { chosenCases } from './chosen-cases.ts';

describe('chosenCases', () => {
  const titles = ['manifest by tag c=1', 'hit 1 MiB c=1', 'hit 1 MiB c=16', 'hit range 1 MiB c=1', 'hit 1024 MiB c=1'];
  it.each([
    ['', titles],
    ['manifest', titles.slice(0, 1)],
    ['hit 1 MiB', titles.slice(1, 3)],
    ['hit 1 MiB c=1', titles.slice(1, 2)],
    ['hit 1024 MiB c=1, hit range', titles.slice(3)],
    ['c=4', []],
  ])('of %j', (only, chosen) => {
    expect(titles.filter(chosenCases(only))).toEqual(chosen);
  });
});
