import { describe, expect, it } from '@jest/globals';
import {
  type CachedImage,
  type CachedImageStatus,
  cachedImageStatus,
  CONDITIONS,
  type ConditionType,
} from '@kuik/contracts';
import { recordedSummary, summarise as summariseIn } from './summary.ts';
import {
  at,
  cachedImage,
  cacheStanza,
  DAY,
  DIGEST,
  failedCopy,
  MINUTE,
  NOW,
  OTHER_DIGEST,
  removalStanza,
  UID,
  upstreamStanza,
} from './testing/objects.ts';

const retry = { firstMs: 5_000, maxMs: 1_800_000, unavailableMs: 21_600_000 };
const summarise = (image: CachedImage, now: number, duplicateOf?: string) =>
  summariseIn(image, { now, retry, duplicateOf });
/** A copy under way that counts for so many ms yet. */
const copying = (ms: number) => ({ forUid: UID, copying: { since: at(-MINUTE), until: at(ms) } });
const used = { forUid: UID, count: 12, pods: [] };

describe('summarise', () => {
  it.each<[string, CachedImage, string | undefined, string, string]>([
    ['a new image', cachedImage(), undefined, 'Waiting', 'Cached=False/NotYetCopied'],
    ['a cached image', cachedImage({ status: { cache: cacheStanza() } }), undefined, 'Ready', 'Cached=True/Copied'],
    [
      'a cached image whose later copy failed',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy() } } }),
      undefined,
      'Ready',
      'Cached=True/Copied',
    ],
    [
      'a failure',
      cachedImage({ status: { cache: failedCopy() } }),
      undefined,
      'ErrImagePull',
      'Cached=False/CopyFailed',
    ],
    [
      'no reference',
      cachedImage({ spec: { sourceImage: 'a:b:c' } }),
      undefined,
      'ErrImagePull',
      'Cached=False/NotAReference',
    ],
    [
      'no place in the cache',
      cachedImage({ spec: { sourceImage: '[fd00::1]:5000/a' } }),
      undefined,
      'ErrImagePull',
      'Cached=False/NotEncodable',
    ],
    [
      'no place in the cache, and being deleted',
      cachedImage({ spec: { sourceImage: '[fd00::1]:5000/a' }, metadata: { deletionTimestamp: at(0) } }),
      undefined,
      'Terminating',
      'Cached=False/NotEncodable',
    ],
    [
      'a rate limit',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-429' }) } }),
      undefined,
      'Waiting',
      'UpstreamAvailable=False/RateLimited',
    ],
    [
      'never there',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-404' }) } }),
      undefined,
      'Unavailable',
      'UpstreamAvailable=False/Deleted',
    ],
    [
      'a cache that takes no copies says nothing of upstream',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-CPY-503' }) } }),
      undefined,
      'ErrImagePull',
      'UpstreamAvailable=Unknown/Unknown',
    ],
    [
      'condemned',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza() } }),
      undefined,
      'Expiring',
      'Cached=True/Copied',
    ],
    [
      'removed',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza({ removedAt: at(0) }) } }),
      undefined,
      'Waiting',
      'Cached=False/Removed',
    ],
    ['being copied', cachedImage({ status: { cache: copying(1) } }), undefined, 'Pulling', 'Cached=False/Copying'],
    [
      'being copied again after a failure',
      cachedImage({ status: { cache: { ...failedCopy({ code: 'KUIK-REG-404' }), ...copying(1) } } }),
      undefined,
      'Pulling',
      'Cached=False/Copying',
    ],
    [
      'copied once more while the cache holds it',
      cachedImage({ status: { cache: { ...cacheStanza(), ...copying(1) } } }),
      undefined,
      'Ready',
      'Cached=True/Copied',
    ],
    [
      'a copy whose worker is not heard of any more',
      cachedImage({ status: { cache: copying(0) } }),
      undefined,
      'Waiting',
      'Cached=False/NotYetCopied',
    ],
    [
      'being deleted',
      cachedImage({ metadata: { deletionTimestamp: at(0) }, status: { cache: cacheStanza() } }),
      undefined,
      'Terminating',
      'Cached=True/Copied',
    ],
    [
      'a duplicate',
      cachedImage({ status: { cache: cacheStanza() } }),
      'first',
      'Duplicate',
      'Duplicate=True/SameReference',
    ],
    [
      'deleted upstream after the copy',
      cachedImage({
        status: { cache: cacheStanza(), upstream: upstreamStanza({ state: 'Deleted', lastSeen: at(0) }) },
      }),
      undefined,
      'Ready',
      'UpstreamAvailable=False/Deleted',
    ],
    [
      'deleted upstream, and looked at in the cache since',
      cachedImage({
        status: {
          cache: cacheStanza({ copiedAt: at(1), askedAt: at(-DAY) }),
          upstream: upstreamStanza({ state: 'Deleted', lastSeen: at(0) }),
        },
      }),
      undefined,
      'Ready',
      'Orphaned=True/UpstreamDeleted',
    ],
    [
      'deleted upstream, which cannot be asked now',
      cachedImage({
        status: {
          cache: cacheStanza(),
          upstream: upstreamStanza({
            state: 'RateLimited',
            lastSeen: at(-DAY),
            goneSince: at(0),
            error: { code: 'KUIK-REG-429', message: 'not now', at: at(1) },
          }),
        },
      }),
      undefined,
      'Ready',
      'Orphaned=True/UpstreamDeleted',
    ],
    [
      'a moved tag',
      cachedImage({
        status: { cache: cacheStanza(), upstream: upstreamStanza({ state: 'Moved', digest: OTHER_DIGEST }) },
      }),
      undefined,
      'Ready',
      'UpToDate=False/TagMoved',
    ],
    [
      'a moved tag that was copied since',
      cachedImage({
        status: {
          cache: cacheStanza({ digest: OTHER_DIGEST, copiedAt: at(1) }),
          upstream: upstreamStanza({ state: 'Moved', digest: OTHER_DIGEST }),
        },
      }),
      undefined,
      'Ready',
      'UpstreamAvailable=True/Available',
    ],
    [
      'a copy newer than a failed check',
      cachedImage({
        status: {
          cache: cacheStanza({ copiedAt: at(1) }),
          upstream: upstreamStanza({ state: 'Unreachable', lastSeen: at(-5) }),
        },
      }),
      undefined,
      'Ready',
      'UpstreamAvailable=True/Available',
    ],
    [
      'a check newer than a failed copy',
      cachedImage({
        status: { cache: failedCopy({ code: 'KUIK-REG-503' }), upstream: upstreamStanza({ lastSeen: at(0) }) },
      }),
      undefined,
      'ErrImagePull',
      'UpstreamAvailable=True/Available',
    ],
    ['used', cachedImage({ status: { usedBy: used } }), undefined, 'Waiting', 'Held=True/InUse'],
    ['retained', cachedImage({ spec: { retain: true } }), undefined, 'Waiting', 'Held=True/Retained'],
    ['unused', cachedImage({ status: { unusedSince: at(-5) } }), undefined, 'Waiting', 'Held=False/Unused'],
  ])('%s', (_name, image, duplicateOf, phase, condition) => {
    const summary = summarise(image, NOW, duplicateOf);
    expect(summary.phase).toBe(phase);
    expect((summary.conditions ?? []).map(({ type, status, reason }) => `${type}=${status}/${reason}`)).toContain(
      condition,
    );
    for (const { type, reason } of summary.conditions ?? []) {
      expect(CONDITIONS[type as ConditionType]).toContain(reason);
    }
    expect(cachedImageStatus.parse(summary)).toEqual(summary);
  });

  it.each<[string, CachedImageStatus]>([
    ['worked', { cache: cacheStanza({ copiedAt: at(1) }) }],
    [
      'worked, whatever came of the next one',
      { cache: { ...cacheStanza({ copiedAt: at(1) }), ...failedCopy({ at: at(2) }) } },
    ],
  ])('is no orphan once a copy %s', (_what, status) => {
    const upstream = upstreamStanza({ state: 'Deleted', lastSeen: at(-DAY), goneSince: at(0) });
    const { conditions = [] } = summarise(cachedImage({ status: { ...status, upstream } }), NOW);
    expect(conditions.map(({ type }) => type)).not.toContain('Orphaned');
  });

  it("gives kuik v1's flat fields, digests as hex", () => {
    const image = cachedImage({
      status: {
        cache: cacheStanza(),
        upstream: upstreamStanza({ state: 'Moved', digest: OTHER_DIGEST, lastSeen: at(5) }),
      },
    });
    expect(summarise(image, NOW)).toMatchObject({
      isCached: true,
      digest: DIGEST.slice(7),
      upstreamDigest: OTHER_DIGEST.slice(7),
      upToDate: false,
      availableUpstream: true,
      lastSuccessfulPull: at(-60_000),
      lastSeenUpstream: at(5),
      lastSync: at(5),
    });
    const fresh = summarise(cachedImage(), NOW);
    expect(fresh.isCached).toBe(false);
    expect(fresh).not.toHaveProperty('availableUpstream');
    expect(fresh).not.toHaveProperty('digest');
  });

  it.each([
    [
      'used',
      { usedBy: used, cache: cacheStanza() },
      {},
      { usedBy: '12', expires: '', size: '68 MiB', upstream: 'Available' },
    ],
    [
      'unused',
      { usedBy: { ...used, count: 0 }, expiresAt: '2026-12-01T10:00:00Z' },
      {},
      { usedBy: '0', expires: '2026-12-01' },
    ],
    ['retained', { usedBy: used }, { retain: true }, { expires: 'never' }],
    ['new', {}, {}, { usedBy: '', size: '-', upstream: '-', image: 'registry.example.test/shop:1.0' }],
  ])('prints columns: %s', (_name, status, spec, columns) => {
    expect(summarise(cachedImage({ status, spec }), NOW).display).toMatchObject(columns);
  });

  it('is at rest when nothing changed, however much time passes', () => {
    const image = cachedImage({ status: { cache: cacheStanza(), upstream: upstreamStanza(), usedBy: used } });
    const first = summarise(image, NOW);
    const written = { ...image, status: { ...image.status, ...first } };
    expect(summarise(written, NOW + 1e10)).toEqual(first);
    expect(recordedSummary(written)).toEqual(first);
  });

  it('moves the transition time of the condition that changed, and of no other', () => {
    const image = cachedImage({ status: { cache: cacheStanza(), usedBy: used } });
    const written = { ...image, status: { ...image.status, ...summarise(image, NOW) } };
    const later = summarise({ ...written, status: { ...written.status, usedBy: { ...used, count: 0 } } }, NOW + 1000);
    const times = Object.fromEntries(
      (later.conditions ?? []).map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    );
    expect(times).toEqual({ Cached: at(0), UpToDate: at(0), UpstreamAvailable: at(0), Held: at(1000) });
  });

  it.each<[string, CachedImageStatus, string]>([
    [
      'a failure says when it is tried again, in absolute time, and how to try at once',
      { cache: failedCopy({ message: 'cannot read it.', retryAt: at(4 * MINUTE) }) },
      'KUIK-REG-502 cannot read it. Next try at 2026-11-01T12:04:00Z (or now: kubectl annotate --overwrite ci shop kuik.enix.io/force-update=$(date +%s))',
    ],
    [
      'a refused copy of what the cache holds is not tried again',
      { cache: { ...cacheStanza(), ...failedCopy({ message: 'no.', code: 'KUIK-REG-401' }) } },
      `the cache holds ${DIGEST}; the last copy failed: KUIK-REG-401 no.`,
    ],
    [
      'one that failed for a while is',
      { cache: { ...cacheStanza(), ...failedCopy({ message: 'no.', retryAt: at(4 * MINUTE) }) } },
      `the cache holds ${DIGEST}; the last copy failed: KUIK-REG-502 no. Next try at 2026-11-01T12:04:00Z (or now: kubectl annotate --overwrite ci shop kuik.enix.io/force-update=$(date +%s))`,
    ],
    [
      'a damaged one says what is wrong',
      { cache: { ...cacheStanza(), ...failedCopy({ message: 'wrong bytes.', code: 'KUIK-CPY-520', retryAt: at(0) }) } },
      `the cache holds ${DIGEST}; KUIK-CPY-520 wrong bytes. Next try at 2026-11-01T12:00:00Z (or now: kubectl annotate --overwrite ci shop kuik.enix.io/force-update=$(date +%s))`,
    ],
    [
      'a condemned one says why it goes',
      { cache: cacheStanza(), removal: removalStanza({ reason: 'Unused' }) },
      `the cache holds ${DIGEST}; it leaves the cache unless it is used again (Unused)`,
    ],
    [
      'a copy says how far it is',
      {
        cache: {
          forUid: UID,
          copying: { since: at(0), until: at(1), bytesDone: 327_155_712, bytesTotal: 1_288_490_189 },
        },
      },
      'being copied since 2026-11-01T12:00:00Z: 312 MiB of 1.2 GiB when last told',
    ],
  ])('%s', (_name, status, message) => {
    const [cached] = summarise(cachedImage({ status }), NOW).conditions ?? [];
    expect(cached?.message).toBe(message);
  });
});
