import { describe, expect, it } from '@jest/globals';
import { type Description, onlyHoldersDiffer } from './holders-only.ts';
import { summarise } from './summary.ts';
import { cachedImage, cacheStanza, NOW, UID } from './testing/objects.ts';

const retry = { firstMs: 5_000, maxMs: 1_800_000, unavailableMs: 21_600_000 };
const usedBy = (count: number, forUid = UID) => ({
  forUid,
  count,
  holders: Array.from({ length: count }, (_, index) => ({ kind: 'Pod' as const, name: `shop/web-${index}` })),
});
const described = (facts: Partial<Description>, cache = cacheStanza()): Description => ({
  ...facts,
  ...summarise(cachedImage({ status: { ...facts, cache } }), { now: NOW, retry }),
});

describe('onlyHoldersDiffer', () => {
  it.each<[string, Description, boolean]>([
    ['one more pod', described({ usedBy: usedBy(3) }), true],
    ['the same', described({ usedBy: usedBy(2) }), true],
    ['the last pod went', described({ usedBy: usedBy(0), unusedSince: new Date(NOW).toISOString() }), false],
    ['another object', described({ usedBy: usedBy(3, 'other') }), false],
    ['other pull secrets', described({ usedBy: usedBy(3), pullSecrets: [{ namespace: 'shop', name: 'cred' }] }), false],
    ['another copy as well', described({ usedBy: usedBy(3) }, cacheStanza({ bytes: 5 })), false],
  ])('%s', (_what, next, only) => {
    expect(onlyHoldersDiffer(described({ usedBy: usedBy(2) }), next)).toBe(only);
  });

  it('the first pod', () => {
    expect(onlyHoldersDiffer(described({ usedBy: usedBy(0) }), described({ usedBy: usedBy(1) }))).toBe(false);
    expect(onlyHoldersDiffer(described({}), described({ usedBy: usedBy(1) }))).toBe(false);
  });
});
