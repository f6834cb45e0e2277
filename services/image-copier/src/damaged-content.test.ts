import { describe, expect, it } from '@jest/globals';
import type { CachedImage, CacheStanza, CopyJob } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import { kept } from './copy-stanza.ts';
import { CacheDamaged } from './damaged-content.ts';
import { decideJob } from './decide.ts';
import { judgeFailure } from './judge.ts';

const REFERENCE = 'shop.example/app:1';
const [DIGEST, ONE, TWO] = ['a', '1', '2'].map((letter) => `sha256:${letter.repeat(64)}`) as [string, string, string];
const image = (cache: Partial<CacheStanza> = {}): CachedImage => ({
  metadata: { name: 'app', uid: 'u1', resourceVersion: '1' },
  spec: { sourceImage: REFERENCE },
  status: { cache: { forUid: 'u1', digest: DIGEST, ...cache } },
});
const job: CopyJob = { name: 'app', uid: 'u1', reference: REFERENCE, host: 'shop.example', reason: 'Retry' };

describe('wrong bytes in the cache', () => {
  it.each<[string, string[] | undefined, string[] | undefined, string[] | undefined]>([
    ['nobody speaks of', undefined, undefined, undefined],
    ['a node got', [ONE], undefined, [ONE]],
    ['an earlier look found', undefined, [TWO], [TWO]],
    ['both did', [ONE, TWO], [TWO], [ONE, TWO]],
    ['are of no digest', ['app'], undefined, undefined],
  ])('that %s: are looked at, and what was taken away is looked for', (_name, wrong, damaged, doubted) => {
    const verdict = decideJob({ ...job, ...(wrong && { wrong }) }, image(damaged && { damaged }));
    const target = verdict.do === 'copy' ? verdict.target : undefined;
    expect([target?.doubted, target?.verify]).toEqual([doubted, doubted && DIGEST]);
  });

  it('are named in the stanza, with what to do, and what was copied stays said', () => {
    const failure = new CacheDamaged([ONE]);
    const told = { code: failure.code, message: failure.message, side: 'cache', damaged: failure.digests } as const;
    const { error } = judgeFailure(told, parseReference(REFERENCE), undefined, new Date(0));
    expect(error.code).toBe('KUIK-CPY-520');
    expect(error.message).toContain(ONE);
    expect(error.message).toContain('docker/registry/v2/blobs/sha256');
    expect(kept(image(), false, [ONE])).toEqual({ forUid: 'u1', digest: DIGEST, damaged: [ONE] });
    expect(kept(image({ damaged: [TWO] }), false)).toMatchObject({ damaged: [TWO] });
  });
});
