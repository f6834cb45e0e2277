import { describe, expect, it } from '@jest/globals';
import type { CachedImageStatus } from '@kuik/contracts';
import {
  cachedImage,
  cacheStanza,
  DIGEST,
  failedCopy,
  OTHER_DIGEST,
  removalStanza,
  at,
  upstreamStanza,
} from './testing/objects.ts';
import { transitionsOf } from './transitions.ts';

type Status = CachedImageStatus;
const deleted = { upstream: upstreamStanza({ state: 'Deleted' }) };

describe('transitionsOf', () => {
  it.each<[string, Status, Status, string[]]>([
    ['nothing', { cache: cacheStanza() }, { cache: cacheStanza() }, []],
    ['the first copy', {}, { cache: cacheStanza() }, ['Normal Copied']],
    ['another digest', { cache: cacheStanza() }, { cache: cacheStanza({ digest: OTHER_DIGEST }) }, ['Normal Copied']],
    ['the same copy again', { cache: cacheStanza() }, { cache: cacheStanza({ copiedAt: at(0) }) }, []],
    ['a failure', {}, { cache: failedCopy() }, ['Warning CopyFailed']],
    ['another failure', { cache: failedCopy() }, { cache: failedCopy({ at: at(0) }) }, ['Warning CopyFailed']],
    ['the same failure', { cache: failedCopy() }, { cache: failedCopy() }, []],
    ['gone upstream', { upstream: upstreamStanza() }, deleted, ['Warning UpstreamDeleted']],
    ['still gone', deleted, deleted, []],
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
    const found = transitionsOf(cachedImage({ status: before }), cachedImage({ status: now }));
    expect(found.map(({ type, reason }) => `${type} ${reason}`)).toEqual(expected);
  });

  it('says what was copied, and why a copy failed', () => {
    const [copied] = transitionsOf(cachedImage(), cachedImage({ status: { cache: cacheStanza() } }));
    expect(copied?.message).toBe(`copied ${DIGEST}`);
    const [failed] = transitionsOf(cachedImage(), cachedImage({ status: { cache: failedCopy() } }));
    expect(failed?.message).toBe('KUIK-REG-502 cannot copy');
  });

  it('tells nothing of what it saw for the first time, or of another object', () => {
    const now = cachedImage({ status: { cache: cacheStanza() } });
    expect(transitionsOf(undefined, now)).toEqual([]);
    expect(transitionsOf(cachedImage({ metadata: { uid: 'uid-0' } }), now)).toEqual([]);
  });
});
