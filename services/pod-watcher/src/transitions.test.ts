import { describe, expect, it } from '@jest/globals';
import { type CachedImageStatus, ERROR_CODES } from '@kuik/contracts';
import {
  cachedImage,
  cacheStanza,
  DIGEST,
  failedCopy,
  IMAGE,
  MINUTE,
  OTHER_DIGEST,
  removalStanza,
  repository,
  at,
  upstreamStanza,
} from './testing/objects.ts';
import { repositoryTransitions, transitionsOf } from './transitions.ts';

type Status = CachedImageStatus;
const deleted = { upstream: upstreamStanza({ state: 'Deleted', goneSince: at(-1) }) };
const unsaid = upstreamStanza({ state: 'RateLimited', goneSince: at(-1) });

const seen = transitionsOf;

describe('transitionsOf', () => {
  it.each<[string, Status, Status, string[]]>([
    ['nothing', { cache: cacheStanza() }, { cache: cacheStanza() }, []],
    ['the first copy', {}, { cache: cacheStanza() }, ['Normal Copied']],
    ['another digest', { cache: cacheStanza() }, { cache: cacheStanza({ digest: OTHER_DIGEST }) }, ['Normal Copied']],
    ['the same copy again', { cache: cacheStanza() }, { cache: cacheStanza({ copiedAt: at(0) }) }, []],
    ['a failure', {}, { cache: failedCopy() }, ['Warning CopyFailed']],
    ['another failure', { cache: failedCopy() }, { cache: failedCopy({ at: at(0) }) }, ['Warning CopyFailed']],
    [
      'wrong bytes in the cache',
      { cache: cacheStanza() },
      { cache: { ...cacheStanza(), ...failedCopy({ code: ERROR_CODES.cacheDamaged.code }) } },
      ['Warning CacheDamaged'],
    ],
    ['the same failure', { cache: failedCopy() }, { cache: failedCopy() }, []],
    ['gone upstream', { upstream: upstreamStanza() }, deleted, ['Warning UpstreamDeleted']],
    ['still gone', deleted, deleted, []],
    ['gone, and not to be asked now', deleted, { upstream: unsaid }, []],
    ['gone, as it was before it could not be asked', { upstream: unsaid }, deleted, []],
    [
      'back, after it could not be asked',
      { upstream: unsaid },
      { upstream: upstreamStanza() },
      ['Normal UpstreamBack'],
    ],
    [
      'back, and nothing left of the quota',
      deleted,
      { upstream: upstreamStanza({ state: 'RateLimited' }) },
      ['Normal UpstreamBack'],
    ],
    ['back', deleted, { upstream: upstreamStanza() }, ['Normal UpstreamBack']],
    [
      'back and moved',
      deleted,
      { upstream: upstreamStanza({ state: 'Moved' }) },
      ['Normal UpstreamBack', 'Normal TagMoved'],
    ],
    [
      'unreachable is not gone',
      { upstream: upstreamStanza() },
      { upstream: upstreamStanza({ state: 'Unreachable' }) },
      [],
    ],
    ['moved', { upstream: upstreamStanza() }, { upstream: upstreamStanza({ state: 'Moved' }) }, ['Normal TagMoved']],
    [
      'moved once more',
      { upstream: upstreamStanza({ state: 'Moved' }) },
      { upstream: upstreamStanza({ state: 'Moved', digest: OTHER_DIGEST }) },
      ['Normal TagMoved'],
    ],
    [
      'copied again after its removal',
      { cache: cacheStanza(), removal: removalStanza({ removedAt: at(0) }) },
      { cache: cacheStanza({ copiedAt: at(1) }), removal: removalStanza({ removedAt: at(0) }) },
      ['Normal Copied'],
    ],
  ])('%s', (_name, before, now, expected) => {
    const found = seen(cachedImage({ status: before }), cachedImage({ status: now }));
    expect(found.map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
  });

  it('says what was copied, and why a copy failed', () => {
    const [copied] = seen(cachedImage(), cachedImage({ status: { cache: cacheStanza() } }));
    expect(copied?.message).toBe(`copied ${DIGEST}`);
    const whole = cacheStanza({ bytes: 43_200_000, blobs: 7, sharedBlobs: 3 });
    const [large] = seen(cachedImage(), cachedImage({ status: { cache: whole } }));
    expect(large?.message).toBe(`copied ${DIGEST}: 41 MiB in 7 blobs, 3 of them shared`);
  });

  it.each<[string, string]>([
    [
      'KUIK-REG-401',
      `cannot copy ${IMAGE}: the upstream registry refused every credential. Check the pull secrets of the pod and its service account.`,
    ],
    [
      'KUIK-REG-531',
      `cannot copy ${IMAGE}: the upstream registry's certificate is not trusted. Set registries["registry.example.test"].ca.`,
    ],
    ['KUIK-REG-999', `cannot copy ${IMAGE}.`],
  ])('says why a copy failed (%s), and where there is more', (code, why) => {
    const [failed] = seen(cachedImage(), cachedImage({ status: { cache: failedCopy({ code }) } }));
    expect(failed?.message).toBe(
      `${code} ${why} Condition Cached says more, and when the next try is: kubectl describe ci shop`,
    );
  });

  it('says the same at each try of a copy, and names no pull secret', () => {
    const tries = [0, 5, 30].map((minutes, index) => {
      const message = `the registry refused every credential (pull secret acme/regcred; anonymous): request ${index}`;
      const error = { code: 'KUIK-REG-401', message, attempts: index, at: at(minutes * MINUTE) };
      return cachedImage({ status: { cache: failedCopy({ ...error, retryAt: at((minutes + index) * MINUTE) }) } });
    });
    const told = tries.flatMap((image, index) => seen(index === 0 ? cachedImage() : tries[index - 1], image));
    expect(told).toHaveLength(3);
    expect(new Set(told.map(({ message }) => message)).size).toBe(1);
    expect(JSON.stringify(told)).not.toContain('regcred');
  });

  it('says in full what the cache holds with wrong bytes', () => {
    const error = { code: ERROR_CODES.cacheDamaged.code, message: `not to be trusted with ${DIGEST}` };
    const [damaged] = seen(cachedImage(), cachedImage({ status: { cache: failedCopy(error) } }));
    expect(damaged?.message).toBe(`KUIK-CPY-520 not to be trusted with ${DIGEST}`);
  });

  it.each<[Status, string]>([
    [{ cache: cacheStanza(), ...deleted }, 'upstream does not have the image any more; the cache keeps it'],
    [deleted, 'upstream does not have the image; the cache does not have it'],
  ])('says whether the cache keeps what upstream deleted', (status, message) => {
    expect(seen(cachedImage(), cachedImage({ status })).at(-1)?.message).toBe(message);
  });

  it('says that upstream had it once', () => {
    const status = { upstream: upstreamStanza({ state: 'Available', digest: DIGEST }) };
    const message = 'upstream does not have the image any more; the cache does not have it';
    expect(seen(cachedImage({ status }), cachedImage({ status: deleted })).at(-1)?.message).toBe(message);
  });

  it('names both digests of a moved tag', () => {
    const status = { cache: cacheStanza(), upstream: upstreamStanza({ state: 'Moved', digest: OTHER_DIGEST }) };
    expect(seen(cachedImage({ status: { cache: cacheStanza() } }), cachedImage({ status }))[0]?.message).toBe(
      `upstream moved the tag to ${OTHER_DIGEST}; the cache keeps ${DIGEST}`,
    );
  });

  it('says once that another object counts', () => {
    const conditions = [
      {
        type: 'Duplicate',
        status: 'True' as const,
        reason: 'SameReference',
        message: 'delete it',
        lastTransitionTime: at(0),
      },
    ];
    const duplicate = cachedImage({ status: { conditions } });
    expect(seen(cachedImage(), duplicate)).toEqual([{ type: 'Warning', reason: 'Duplicate', message: 'delete it' }]);
    expect(seen(duplicate, duplicate)).toEqual([]);
  });

  it('tells nothing of what it saw for the first time, or of another object', () => {
    const now = cachedImage({ status: { cache: cacheStanza() } });
    expect(seen(undefined, now)).toEqual([]);
    expect(seen(cachedImage({ metadata: { uid: 'uid-0' } }), now)).toEqual([]);
  });
});

describe('repositoryTransitions', () => {
  const condition = (type: string, status: 'True' | 'False', reason: string) => ({
    type,
    status,
    reason,
    message: 'why',
    lastTransitionTime: at(0),
  });
  const pulling = condition('Ready', 'False', 'Pulling');
  const ready = condition('Ready', 'True', 'UpToDate');
  const failing = condition('Ready', 'False', 'ErrImagePull');
  const wrong = condition('Updates', 'False', 'IntervalInvalid');
  const of = (conditions: readonly ReturnType<typeof condition>[], images = 2) => ({
    ...repository(),
    status: { images, conditions: [...conditions] },
  });

  it.each([
    ['nothing', of([ready]), of([ready]), []],
    ['every image is cached', of([pulling]), of([ready]), ['Normal UpToDate']],
    ['a new one whose image is cached', of([], 0), of([ready]), []],
    ['a new one whose image cannot be copied', of([], 0), of([failing]), ['Warning ErrImagePull']],
    ['one cannot be copied', of([pulling]), of([failing]), ['Warning ErrImagePull']],
    ['copies begin', of([ready]), of([pulling]), []],
    ['none of none', of([], 0), of([ready], 0), []],
    ['a wish that cannot be read', of([ready]), of([ready, wrong]), ['Warning IntervalInvalid']],
    ['the same wish', of([ready, wrong]), of([ready, wrong]), []],
    ['the same wish, put right', of([ready, wrong]), of([ready, condition('Updates', 'True', 'Scheduled')]), []],
    ['seen for the first time', undefined, of([ready, wrong]), []],
  ])('%s', (_name, before, now, expected) => {
    expect(repositoryTransitions(before, now).map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
  });
});
