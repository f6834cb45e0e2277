import { describe, expect, it } from '@jest/globals';
import type { CachedImage, CacheStanza } from '@kuik/contracts';
import { backOff, nextStep, type StepContext } from './next-step.ts';
import {
  at,
  cachedImage,
  cacheStanza,
  DAY,
  failedCopy,
  MINUTE,
  NOW,
  OTHER_DIGEST,
  removalStanza,
} from './testing/objects.ts';

const retry = { firstMs: 5_000, maxMs: 30 * MINUTE, unavailableMs: 6 * 60 * MINUTE };
const context: StepContext = { duplicate: false, held: true, forced: false, missing: false, moved: false, retry };
const FORCE = { annotations: { 'kuik.enix.io/force-update': '1' } };

const step = (image: CachedImage, change: Partial<StepContext> = {}) => nextStep(image, { ...context, ...change }, NOW);
const copy = (reason: string) => ({ do: 'copy', reason });
const nothing = (reason: string) => ({ do: 'nothing', reason });
const wait = (ms: number, reason: string) => ({ do: 'wait', until: NOW + ms, reason });

describe('nextStep', () => {
  it.each<[string, Partial<CacheStanza>, object]>([
    ['the cache does not keep', {}, copy('PinChanged')],
    ['its tag names', { digest: OTHER_DIGEST }, nothing('Cached')],
    ['its tag named before', { history: [{ digest: OTHER_DIGEST, at: at(0) }] }, nothing('Cached')],
    ['was copied for that', { pinned: OTHER_DIGEST }, nothing('Cached')],
    ['was not the one that was copied for a pin', { pinned: `sha256:${'0'.repeat(64)}` }, copy('PinChanged')],
    [
      'could not be copied: it keeps the pace of failures',
      { error: failedCopy({ at: at(0), retryAt: at(MINUTE) }).error! },
      wait(MINUTE, 'BackOff'),
    ],
  ])('of an image that is pinned to a digest which %s', (_what, cache, expected) => {
    const image = cachedImage({ spec: { pin: OTHER_DIGEST }, status: { cache: cacheStanza(cache) } });
    expect(step(image)).toEqual(expected);
  });

  it.each<[string, CachedImage, Partial<StepContext>, object]>([
    ['a new image', cachedImage(), {}, copy('NotCached')],
    ['a new image that nobody uses', cachedImage(), { held: false }, copy('NotCached')],
    ['one that is being deleted', cachedImage({ metadata: { deletionTimestamp: at(0) } }), {}, nothing('Deleting')],
    ['what is no reference', cachedImage({ spec: { sourceImage: 'a:b:c' } }), {}, nothing('NotAReference')],
    ['an IPv6 host', cachedImage({ spec: { sourceImage: '[::1]/a' } }), {}, nothing('NotEncodable')],
    [
      'an IPv6 host, forced',
      cachedImage({ spec: { sourceImage: '[::1]/a' } }),
      { forced: true },
      nothing('NotEncodable'),
    ],
    ['a duplicate', cachedImage(), { duplicate: true }, nothing('Duplicate')],
    ['a cached image', cachedImage({ status: { cache: cacheStanza() } }), {}, nothing('Cached')],
    [
      'a stanza of another object',
      cachedImage({ status: { cache: cacheStanza({ forUid: 'uid-0' }) } }),
      {},
      copy('NotCached'),
    ],
    [
      'a cached image that a node missed',
      cachedImage({ status: { cache: cacheStanza() } }),
      { missing: true },
      copy('ContentMissing'),
    ],
    [
      'a cached image whose tag a node saw on another digest',
      cachedImage({ status: { cache: cacheStanza() } }),
      { moved: true },
      copy('TagMoved'),
    ],
    [
      'one that is on its way out all the same',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza() } }),
      { moved: true },
      nothing('Cached'),
    ],
    [
      'one that a node missed, and whose later copy failed',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy() } } }),
      { missing: true },
      copy('ContentMissing'),
    ],
    [
      'one that a node missed while a person forces a copy, which looks at everything as well',
      cachedImage({ status: { cache: cacheStanza() } }),
      { missing: true, forced: true },
      copy('Forced'),
    ],
    [
      'one that a node missed, and that is on its way out',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza() } }),
      { missing: true },
      nothing('Cached'),
    ],
    ['one that a node missed and that was never copied', cachedImage(), { missing: true }, copy('NotCached')],
    [
      'one without a platform that a node runs by now',
      cachedImage({ status: { cache: cacheStanza({ platformsOnDemand: ['linux/arm64', 'linux/s390x'] }) } }),
      { platforms: ['linux/amd64', 'linux/arm64'] },
      copy('PlatformsChanged'),
    ],
    [
      'one without platforms that all have to be there by now',
      cachedImage({ status: { cache: cacheStanza({ platformsOnDemand: ['linux/s390x'] }) } }),
      { platforms: 'all' },
      copy('PlatformsChanged'),
    ],
    [
      'one without platforms that nobody wants',
      cachedImage({ status: { cache: cacheStanza({ platformsOnDemand: ['linux/s390x'] }) } }),
      { platforms: ['linux/amd64'] },
      nothing('Cached'),
    ],
    [
      'one without platforms while nobody knows what nodes run',
      cachedImage({ status: { cache: cacheStanza({ platformsOnDemand: ['linux/s390x'] }) } }),
      {},
      nothing('Cached'),
    ],
    [
      'one that lacks a platform and whose last copy failed: it keeps its pace',
      cachedImage({
        status: {
          cache: {
            ...cacheStanza({ platformsOnDemand: ['linux/arm64'] }),
            error: failedCopy({ at: at(0), retryAt: at(MINUTE) }).error,
          },
        },
      }),
      { platforms: ['linux/arm64'] },
      wait(MINUTE, 'BackOff'),
    ],
    [
      'one that lacks a platform, on its way out',
      cachedImage({
        status: { cache: cacheStanza({ platformsOnDemand: ['linux/arm64'] }), removal: removalStanza() },
      }),
      { platforms: ['linux/arm64'] },
      nothing('Cached'),
    ],
    [
      'one pinned to a digest that the cache does not keep, on its way out',
      cachedImage({ spec: { pin: OTHER_DIGEST }, status: { cache: cacheStanza(), removal: removalStanza() } }),
      {},
      nothing('Cached'),
    ],
    [
      'a forced copy of a cached image',
      cachedImage({ status: { cache: cacheStanza() } }),
      { forced: true },
      copy('Forced'),
    ],
    [
      'a forced copy although it backs off',
      cachedImage({ status: { cache: failedCopy({ at: at(0), retryAt: at(MINUTE) }) } }),
      { forced: true },
      copy('Forced'),
    ],
    [
      'a cached image whose update is not due yet',
      cachedImage({ status: { cache: cacheStanza() } }),
      { updateAt: NOW + MINUTE },
      wait(MINUTE, 'UpdateScheduled'),
    ],
    [
      'a cached image whose update is due, used or not',
      cachedImage({ status: { cache: cacheStanza() } }),
      { updateAt: NOW, held: false },
      copy('UpdateDue'),
    ],
    [
      'v1 defect: a failed update is skipped until the next interval (it is tried again when its time has come)',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy({ at: at(-DAY) }) } } }),
      { updateAt: NOW - MINUTE },
      copy('UpdateDue'),
    ],
    [
      'a failed update backs off',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy({ at: at(0), retryAt: at(MINUTE) }) } } }),
      { updateAt: NOW - MINUTE },
      wait(MINUTE, 'BackOff'),
    ],
    [
      "an update that upstream answered with 404 waits the monitor's pace",
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy({ at: at(0), code: 'KUIK-REG-404' }) } } }),
      { updateAt: NOW - MINUTE },
      wait(360 * MINUTE, 'UpstreamGone'),
    ],
    [
      'what is on its way out is not updated',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza() } }),
      { updateAt: NOW - MINUTE },
      nothing('Cached'),
    ],
    ['a first copy is no update', cachedImage(), { updateAt: 0 }, copy('NotCached')],
    ['a duplicate is not even forced', cachedImage(), { duplicate: true, forced: true }, nothing('Duplicate')],
    ...['KUIK-REG-401', 'KUIK-REG-403', 'KUIK-REG-404'].map((code): [string, CachedImage, object, object] => [
      `a cached image whose later copy upstream refused: ${code}`,
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy({ code }) } } }),
      {},
      nothing('Cached'),
    ]),
    [
      'what was found in the cache and never copied is looked for upstream at the pace of what is gone',
      cachedImage({
        status: {
          cache: {
            forUid: 'uid-1',
            digest: OTHER_DIGEST,
            error: failedCopy({ code: 'KUIK-REG-404', at: at(0) }).error!,
          },
        },
      }),
      {},
      wait(360 * MINUTE, 'UpstreamGone'),
    ],
    [
      'a cached image whose later copy failed for a while: again, so that the error does not stay',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy({ code: 'KUIK-CPY-503' }) } } }),
      {},
      copy('Retry'),
    ],
    [
      'which waits for its time',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy({ at: at(0) }) } } }),
      {},
      wait(backOff(1, 'uid-1', retry), 'BackOff'),
    ],
    [
      'or is on its way out',
      cachedImage({ status: { cache: { ...cacheStanza(), ...failedCopy() }, removal: removalStanza() } }),
      {},
      nothing('Condemned'),
    ],
    [
      'a cached image whose forced copy failed: again when its time has come',
      cachedImage({ metadata: FORCE, status: { cache: { ...cacheStanza(), ...failedCopy({ at: at(-MINUTE) }) } } }),
      {},
      copy('Retry'),
    ],
    [
      'and waits before that',
      cachedImage({ metadata: FORCE, status: { cache: { ...cacheStanza(), ...failedCopy({ retryAt: at(1) }) } } }),
      {},
      wait(1, 'BackOff'),
    ],
    ['a failure long ago', cachedImage({ status: { cache: failedCopy() } }), {}, copy('Retry')],
    [
      'a time that upstream named',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-429', retryAt: at(MINUTE) }) } }),
      {},
      wait(MINUTE, 'Parked'),
    ],
    [
      'a time that has come',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-429', retryAt: at(0) }) } }),
      {},
      copy('Retry'),
    ],
    [
      'an image that upstream never had',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-404', attempts: 9 }) } }),
      {},
      wait(retry.unavailableMs - MINUTE, 'UpstreamGone'),
    ],
    [
      'which the monitor saw since',
      cachedImage({
        status: {
          cache: failedCopy({ code: 'KUIK-REG-404' }),
          upstream: { forUid: 'uid-1', state: 'Available', lastSeen: at(0) },
        },
      }),
      {},
      copy('SeenAgain'),
    ],
    [
      'which the monitor saw before',
      cachedImage({
        status: {
          cache: failedCopy({ code: 'KUIK-REG-404' }),
          upstream: { forUid: 'uid-1', state: 'Available', lastSeen: at(-DAY) },
        },
      }),
      {},
      wait(retry.unavailableMs - MINUTE, 'UpstreamGone'),
    ],
    [
      'which is looked for again at that pace',
      cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-404', at: at(-DAY) }) } }),
      {},
      copy('Retry'),
    ],
    [
      'a condemned image that is cached still',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza() } }),
      {},
      nothing('Cached'),
    ],
    [
      'a condemned image that never was',
      cachedImage({ status: { removal: removalStanza() } }),
      {},
      nothing('Condemned'),
    ],
    [
      'a removed image that nobody uses',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza({ removedAt: at(0) }) } }),
      { held: false },
      nothing('Removed'),
    ],
    [
      'a removed image that is used again',
      cachedImage({ status: { cache: cacheStanza(), removal: removalStanza({ removedAt: at(0) }) } }),
      { held: true },
      copy('RemovedAndUsed'),
    ],
    [
      'which was copied since',
      cachedImage({
        status: { cache: cacheStanza({ copiedAt: at(1) }), removal: removalStanza({ removedAt: at(0) }) },
      }),
      { held: true },
      nothing('Cached'),
    ],
    [
      'upstream moved its tag: what was copied stays',
      cachedImage({
        status: { cache: cacheStanza(), upstream: { forUid: 'uid-1', state: 'Moved', digest: OTHER_DIGEST } },
      }),
      {},
      nothing('Cached'),
    ],
  ])('%s', (_name, image, change, expected) => {
    expect(step(image, change)).toEqual(expected);
  });

  it('waits exactly as long as the back-off says', () => {
    const image = cachedImage({ status: { cache: failedCopy({ at: at(0), attempts: 4 }) } });
    const found = step(image);
    expect(found).toEqual(wait(backOff(4, 'uid-1', retry), 'BackOff'));
    expect(nextStep(image, context, NOW + backOff(4, 'uid-1', retry))).toEqual(copy('Retry'));
  });
});

describe('backOff', () => {
  it.each([
    [1, 2_500, 5_000],
    [2, 5_000, 10_000],
    [4, 20_000, 40_000],
    [50, 15 * MINUTE, 30 * MINUTE],
  ])('attempt %i waits %i to %i ms', (attempts, least, most) => {
    for (const uid of ['a', 'b', 'c', 'd', 'e']) {
      expect(backOff(attempts, uid, retry)).toBeGreaterThanOrEqual(least);
      expect(backOff(attempts, uid, retry)).toBeLessThanOrEqual(most);
    }
  });

  it('is the same for each replica, and spreads images', () => {
    const times = Array.from({ length: 50 }, (_, index) => backOff(10, `uid-${index}`, retry));
    expect(times).toEqual(Array.from({ length: 50 }, (_, index) => backOff(10, `uid-${index}`, retry)));
    expect(new Set(times).size).toBeGreaterThan(45);
  });
});
