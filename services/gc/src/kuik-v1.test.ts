import { describe, expect, it } from '@jest/globals';
import { claimOf, planTags } from './cache-tags.ts';
import { at, condemned, DIGEST, GRACE_MS, imageOf, NOW } from './fixtures.ts';
import { dueForALook } from './presence.ts';
import { verdict } from './verdict.ts';

const used = { forUid: 'uid-nginx', count: 1 };

describe('what kuik v1 lost', () => {
  it.each([
    ['before it was condemned', { usedBy: used }, 'leave'],
    ['after it was condemned', { usedBy: used, removal: condemned(9) }, 'keep'],
  ])(
    'v1 defect: an image whose date is past is deleted although a pod uses it again (%s)',
    (_name, status, expected) => {
      const spec = { expiresAt: at(-1) };
      expect(verdict(imageOf({ spec, status }), NOW, GRACE_MS)).toMatchObject({ do: expected, reason: 'InUse' });
    },
  );

  it.each([
    ['nobody has said who holds it', { usedBy: undefined }],
    ["kuik v1's own word is not believed", { usedBy: { count: 0 } as never }],
  ])('v1 defect: what a restarted controller has not seen yet is deleted as unused (%s)', (_name, status) => {
    const image = imageOf({ spec: { expiresAt: at(-1) }, status });
    expect(verdict(image, NOW, GRACE_MS)).toEqual({ do: 'leave', reason: 'HoldersUnknown' });
  });

  it('v1 defect: an expiring tag takes other tags of the same digest along', () => {
    const claim = (tag: string) =>
      claimOf(
        imageOf({
          name: `nginx-${tag}`,
          spec: { sourceImage: `nginx:${tag}` },
          status: { cache: { forUid: `uid-nginx-${tag}`, digest: DIGEST } },
        }),
      )!;
    expect(planTags(claim('1.25'), [claim('1.25.3')])).toEqual({
      repository: 'docker.io/library/nginx',
      remove: ['1.25'],
      keep: [],
    });
  });

  it('v1 defect: what the cache lost is looked for at a restart only', () => {
    const image = imageOf({ status: { cache: { forUid: 'uid-nginx', digest: DIGEST, copiedAt: at(-1_500) } } });
    const day = { everyMs: 86_400_000, roundMs: 60_000 };
    const looks = [0, 1, 2].map((days) => NOW + days * day.everyMs);
    const lookedAt = new Map<string, number>();
    for (const now of looks) {
      expect(dueForALook([image], lookedAt, { ...day, now })).toEqual([image]);
      lookedAt.set('uid-nginx', now);
      expect(dueForALook([image], lookedAt, { ...day, now: now + day.everyMs - 1 })).toEqual([]);
    }
  });
});
