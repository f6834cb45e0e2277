import { describe, expect, it } from '@jest/globals';
import type { CachedImage, CopyJob } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import { Intents } from './intents.ts';
import { at, cachedImage, cacheStanza, failedCopy, IMAGE, UID } from './testing/objects.ts';

const REFERENCE = parseReference(IMAGE);
const WISH = { annotations: { 'kuik.enix.io/force-update': '7' } };

function setup() {
  const jobs: CopyJob[] = [];
  const redis = { away: false };
  const intents = new Intents({
    enqueue: (job) => {
      if (redis.away) return Promise.reject(new Error('away'));
      jobs.push(job);
      return Promise.resolve(true);
    },
  });
  const raise = (image: CachedImage, reason: 'NotCached' | 'Retry' | 'Forced' | 'ContentMissing' = 'NotCached') =>
    intents.raise(image, REFERENCE, reason);
  return { jobs, redis, intents, raise };
}

describe('Intents', () => {
  it('raises an intent once for what it rests on', async () => {
    const { jobs, raise } = setup();
    expect(await raise(cachedImage())).toBe(true);
    expect(await raise(cachedImage({ metadata: { resourceVersion: '99' } }))).toBe(true);
    expect(jobs).toEqual([
      expect.objectContaining({ name: 'shop', uid: UID, reference: IMAGE, host: 'registry.example.test' }),
    ]);
    await raise(cachedImage({ status: { cache: failedCopy() } }), 'Retry');
    await raise(cachedImage({ status: { cache: failedCopy({ at: at(5) }) } }), 'Retry');
    expect(jobs.map(({ reason }) => reason)).toEqual(['NotCached', 'Retry', 'Retry']);
  });

  it('says so when nothing but the reference of an object matters', async () => {
    const { jobs, raise } = setup();
    await raise(cachedImage({ metadata: { uid: 'new', resourceVersion: '41' } }));
    await raise(cachedImage({ metadata: { uid: 'copied' }, status: { cache: cacheStanza() } }));
    await raise(cachedImage({ metadata: { uid: 'wished', ...WISH } }));
    await raise(cachedImage({ metadata: { uid: 'pinned' }, spec: { sourceImage: IMAGE, pin: 'sha256:1' } }));
    expect(jobs.map(({ uid, fresh }) => [uid, fresh])).toEqual([
      ['new', '41'],
      ['copied', undefined],
      ['wished', undefined],
      ['pinned', undefined],
    ]);
  });

  it('sends somebody to look at what nodes miss, although no stanza has changed', async () => {
    const { jobs, intents, raise } = setup();
    const image = cachedImage({ status: { cache: cacheStanza() } });
    await raise(image);
    await raise(image, 'ContentMissing');
    await intents.raise(image, REFERENCE, 'ContentMissing', { wrong: ['sha256:1'] });
    expect(jobs.map(({ verify, wrong, reason }) => [reason, verify, wrong])).toEqual([
      ['NotCached', undefined, undefined],
      ['ContentMissing', true, undefined],
      ['ContentMissing', true, ['sha256:1']],
    ]);
  });

  it('names the platforms to copy, and what was pulled beside them; a change of them is another intent', async () => {
    const { jobs, intents } = setup();
    const image = cachedImage();
    const details = [
      { platforms: ['linux/amd64'], pulled: ['sha256:1'] },
      { platforms: ['linux/amd64'] },
      { platforms: 'all' as const, pulled: ['sha256:1'] },
      {},
    ];
    for (const one of details) await intents.raise(image, REFERENCE, 'NotCached', one);
    expect(jobs.map(({ platforms, pulled, verify }) => ({ platforms, pulled, verify }))).toEqual([
      { platforms: ['linux/amd64'], pulled: ['sha256:1'] },
      {},
      {},
    ]);
    await intents.raise(image, REFERENCE, 'PlatformsChanged', { platforms: ['linux/arm64'] });
    expect(jobs.at(-1)).toMatchObject({ verify: true, platforms: ['linux/arm64'], reason: 'PlatformsChanged' });
  });

  it('raises it again after the queue was away, after a resync, and for a new object', async () => {
    const { jobs, redis, intents, raise } = setup();
    redis.away = true;
    expect(await raise(cachedImage())).toBe(false);
    redis.away = false;
    expect(await raise(cachedImage())).toBe(true);
    intents.forgetBases();
    await raise(cachedImage());
    intents.forget(UID);
    await raise(cachedImage());
    await raise(cachedImage({ metadata: { uid: 'uid-2' } }));
    expect(jobs.map(({ uid }) => uid)).toEqual([UID, UID, UID, 'uid-2']);
  });

  it('carries a wish once, and knows when it was answered', async () => {
    const { jobs, intents, raise } = setup();
    const wished = cachedImage({ metadata: WISH, status: { cache: cacheStanza({ forced: '7' }) } });
    expect(intents.unraisedForce(cachedImage())).toBe(false);
    expect(intents.unraisedForce(wished)).toBe(true);
    // It was answered before, with the same value: only a copy after this intent answers this wish.
    expect(intents.forceAnswered(wished)).toBe(false);
    await raise(wished, 'Forced');
    expect(intents.unraisedForce(wished)).toBe(false);
    expect(intents.forceAnswered(wished)).toBe(false);
    intents.forgetBases();
    expect(intents.unraisedForce(wished)).toBe(false);
    const answered = cachedImage({ metadata: WISH, status: { cache: cacheStanza({ forced: '7', copiedAt: at(0) }) } });
    expect(intents.forceAnswered(answered)).toBe(true);
    const failed = cachedImage({
      metadata: WISH,
      status: { cache: { ...cacheStanza({ copiedAt: at(0) }), ...failedCopy() } },
    });
    expect(intents.forceAnswered(failed)).toBe(false);
    expect(jobs).toHaveLength(1);
  });

  it('sees another wish', async () => {
    const { intents, raise } = setup();
    await raise(cachedImage({ metadata: WISH }), 'Forced');
    const other = cachedImage({ metadata: { annotations: { 'cachedimage.kuik.enix.io/forceUpdate': 'true' } } });
    expect(intents.unraisedForce(other)).toBe(true);
  });

  it('takes the same words for another wish once the first is gone', async () => {
    const { jobs, intents, raise } = setup();
    const wished = cachedImage({ metadata: WISH, status: { cache: cacheStanza({ forced: '7' }) } });
    await raise(wished, 'Forced');
    intents.forgetForce(UID);
    expect(intents.unraisedForce(wished)).toBe(true);
    const copied = cachedImage({ metadata: WISH, status: { cache: cacheStanza({ forced: '7', copiedAt: at(0) }) } });
    expect(intents.forceAnswered(copied)).toBe(false);
    // Also before any copy ended.
    await raise(wished, 'Forced');
    expect(intents.unraisedForce(wished)).toBe(false);
    expect(jobs).toHaveLength(2);
  });

  it('keeps the wish of an intent that the queue did not take', async () => {
    const { redis, intents, raise } = setup();
    redis.away = true;
    await raise(cachedImage({ metadata: WISH }), 'Forced');
    expect(intents.unraisedForce(cachedImage({ metadata: WISH }))).toBe(true);
  });
});
