import { describe, expect, it } from '@jest/globals';
import type { Revision } from './holder-view.ts';
import { Revisions, supersededOf } from './revisions.ts';

const revision = (number: number, change: Partial<Revision> = {}): Revision => ({
  owner: 'o',
  number,
  createdAt: `2026-01-0${number + 1}T00:00:00Z`,
  active: false,
  ...change,
});
const five = new Map([3, 1, 5, 2, 4].map((number) => [`r${number}`, revision(number)]));

describe('supersededOf', () => {
  it.each([
    [0, ['r1', 'r2', 'r3', 'r4']],
    [1, ['r1', 'r2', 'r3']],
    [3, ['r1']],
    [9, []],
  ])('the current one and %d before it stay', (kept, gone) => {
    expect([...supersededOf(five, kept)].sort()).toEqual(gone);
  });

  it('one that has pods stays, however old', () => {
    const bent = new Map(five).set('r1', revision(1, { active: true }));
    expect([...supersededOf(bent, 1)].sort()).toEqual(['r2', 'r3']);
  });

  it('without numbers the one made last is the newest', () => {
    const old = revision(0, { createdAt: '2026-01-01T00:00:00Z' });
    const young = revision(0, { createdAt: '2026-01-02T00:00:00Z' });
    expect([
      ...supersededOf(
        new Map([
          ['a', young],
          ['b', old],
        ]),
        0,
      ),
    ]).toEqual(['b']);
  });
});

describe('Revisions', () => {
  it('tells whose standing changes when one comes, goes, or gets pods', () => {
    const revisions = new Revisions(1);
    expect([1, 2].map((number) => revisions.put(`r${number}`, revision(number)))).toEqual([[], []]);
    expect(revisions.put('r3', revision(3))).toEqual(['r1']);
    expect(revisions.superseded('r1', revision(1))).toBe(true);
    expect(revisions.put('x', revision(9, { owner: 'other' }))).toEqual([]);
    expect(revisions.put('r1', revision(1, { active: true }))).toEqual([]);
    expect(revisions.superseded('r1', revision(1))).toBe(false);
    revisions.put('r1', revision(1));
    expect(revisions.remove('r3', revision(3))).toEqual(['r1']);
    expect(revisions.remove('r3', revision(3))).toEqual([]);
  });
});
