import { describe, expect, it } from '@jest/globals';
import type { CachedImageStatus } from '@kuik/contracts';
import { candidateOf, watchedReference } from './candidates.ts';
import { at, DIGEST, imageOf, NOW, type ImageChange } from './fixtures.ts';

const forUid = 'uid-app';
const cache = { forUid, digest: DIGEST, copiedAt: at(-100) };
const error = (code: string) => ({ code, message: 'x', at: at(-50) });
const lost = { ...cache, error: error('KUIK-REG-404') };
const goneAt = at(-70);
const gone = {
  forUid,
  state: 'Deleted',
  goneSince: goneAt,
  error: { ...error('KUIK-REG-404'), at: goneAt },
} as const;

describe('watchedReference', () => {
  it.each<[string, ImageChange, boolean]>([
    ['cached', {}, true],
    ['missing upstream before its first copy', { status: { cache: { forUid, error: error('KUIK-REG-404') } } }, true],
    ['cached, and its last copy failed', { status: { cache: { ...cache, error: error('KUIK-REG-503') } } }, true],
    ['not copied yet', { status: { cache: { forUid } } }, false],
    ['never copied for another reason', { status: { cache: { forUid, error: error('KUIK-REG-503') } } }, false],
    ['cached as a former object', { status: { cache: { ...cache, forUid: 'x' } } }, false],
    ['condemned', { status: { cache, removal: { forUid, condemnedAt: at(-1), reason: 'Unused', epoch: 1 } } }, false],
    ['a duplicate', { status: { cache, phase: 'Duplicate' } }, false],
    ['being deleted', { deleting: true }, false],
    ['no reference', { spec: { sourceImage: 'no reference: at all' } }, false],
  ])('%s: %s', (_, change, watched) => {
    expect(watchedReference(imageOf(change)) !== undefined).toBe(watched);
  });
});

describe('candidateOf', () => {
  it.each<[string, number | undefined, CachedImageStatus, number | undefined]>([
    ['only the copy', undefined, { cache }, -100],
    ['the copy before the cache was looked at', undefined, { cache: { ...cache, askedAt: at(-500) } }, -500],
    ['the exact time', NOW - 60_000, { cache }, -1],
    ['an exact time before the copy', NOW - 6_000_000_000, { cache }, -100],
    [
      'what the resource shows, the exact time being lost',
      undefined,
      { cache, upstream: { forUid, state: 'Available', lastSeen: at(-7) } },
      -7,
    ],
    ['a failed check', undefined, { cache, upstream: { forUid, state: 'Error', error: error('x') } }, -50],
    ['a failed copy', undefined, { cache: { forUid, error: error('KUIK-REG-404') } }, -50],
    ['the copy that worked, not by one that missed it since', undefined, { cache: lost }, -100],
    ['one that missed it, as a check did', undefined, { cache: lost, upstream: gone }, -50],
    [
      'a check, not by a copy that got it since',
      undefined,
      { cache: { ...cache, askedAt: at(-1) }, upstream: gone },
      -70,
    ],
    ['a copy that was only limited', undefined, { cache: { ...cache, error: error('KUIK-REG-429') } }, -100],
    ['nothing', undefined, { cache: { forUid, digest: DIGEST } }, undefined],
    ['a time that is none', undefined, { cache: { ...cache, copiedAt: 'soon' } }, undefined],
  ])('was last asked about by %s', (_, checkedAt, status, minutes) => {
    expect(candidateOf(imageOf({ status }), checkedAt)).toEqual({
      uid: forUid,
      host: 'registry.example.test',
      seenAt: minutes === undefined ? undefined : NOW + minutes * 60_000,
      weight: 1,
    });
  });

  const used = (count: number) => ({ usedBy: { forUid, count } });
  const unavailable = { forUid, error: error('KUIK-REG-404') };
  it.each<[string, CachedImageStatus, number]>([
    ['cached and used by nobody', { cache, ...used(0) }, 1],
    ['missing and used by nobody', { cache: unavailable, ...used(0) }, 1],
    ['cached and in use', { cache, ...used(3) }, 2],
    ['missing and in use', { cache: unavailable, ...used(1) }, 4],
  ])('%s weighs %#', (_, status, weight) => {
    expect(candidateOf(imageOf({ status }), undefined)?.weight).toBe(weight);
  });
});
