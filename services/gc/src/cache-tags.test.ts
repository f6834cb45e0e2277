import { describe, expect, it } from '@jest/globals';
import { claimOf, digestsOf, planTags } from './cache-tags.ts';
import { imageOf } from './fixtures.ts';

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const anchor = (letter: string) => `kuik-sha256-${letter.repeat(64)}`;
let made = 0;
/** A claim of a resource for `sourceImage`, whose cache holds `cached`. */
const claim = (sourceImage: string, cached?: string, pin?: string) => {
  const uid = `uid-${(made += 1)}`;
  return claimOf(
    imageOf({
      uid,
      spec: { sourceImage, ...(pin === undefined ? {} : { pin }) },
      status: { cache: cached === undefined ? { forUid: uid } : { forUid: uid, digest: cached } },
    }),
  )!;
};

describe('claimOf', () => {
  it.each([
    ['a tag', 'nginx:1', 'docker.io/library/nginx', ['1'], []],
    ['no tag', 'quay.io:5000/a/b', 'quay.io__5000/a/b', ['latest'], []],
    ['a digest', `a.test/b@${digest('a')}`, 'a.test/b', [anchor('a')], [anchor('a')]],
    [
      'a tag and a digest: only the anchor is its own',
      `a.test/b:1@${digest('a')}`,
      'a.test/b',
      [anchor('a')],
      [anchor('a')],
    ],
  ])('%s', (_, sourceImage, repository, tags, anchors) => {
    expect(claim(sourceImage)).toMatchObject({ repository, tags, anchors });
  });

  it('owns the anchor of its pin, and names what the cache holds', () => {
    expect(claim('a.test/b:1', digest('c'), digest('d'))).toMatchObject({
      tags: ['1', anchor('d')],
      anchors: [anchor('c'), anchor('d')],
    });
  });

  it('owns the anchors of what its tag named before', () => {
    const history = ['e', 'f'].map((letter) => ({ digest: digest(letter), at: '2026-11-28T10:00:00Z' }));
    const cache = { forUid: 'uid-h', digest: digest('a'), history };
    const image = imageOf({ uid: 'uid-h', spec: { sourceImage: 'a.test/b:1' }, status: { cache } });
    const before = claimOf(image)!;
    expect(before).toMatchObject({
      tags: ['1', anchor('e'), anchor('f')],
      anchors: [anchor('a'), anchor('e'), anchor('f')],
    });
    expect([...digestsOf(image)]).toEqual([
      [anchor('a'), digest('a')],
      [anchor('e'), digest('e')],
      [anchor('f'), digest('f')],
      ['1', digest('a')],
    ]);
    // Another tag that names one of them keeps it, and one that is gone takes nothing of this along.
    expect(planTags(before, [claim('a.test/b:2', digest('e'))])).toMatchObject({
      remove: ['1', anchor('f')],
      keep: [anchor('e')],
    });
    expect(planTags(claim(`a.test/b@${digest('f')}`), [before])).toMatchObject({ remove: [], keep: [anchor('f')] });
  });

  it.each(['no reference: at all', '[fd00::1]:5000/a:1', ''])('has nothing in the cache: %j', (sourceImage) => {
    expect(claimOf(imageOf({ spec: { sourceImage } }))).toBeUndefined();
  });

  it('does not believe a malformed digest', () => {
    expect(claim('a.test/b:1', 'sha256:short', 'x').anchors).toEqual([]);
  });
});

describe('planTags', () => {
  const tagged = claim('a.test/b:1', digest('a'));
  const anchored = claim(`a.test/b@${digest('a')}`, digest('a'));

  it.each<[string, ReturnType<typeof claim>, ReturnType<typeof claim>[], string[], string[]]>([
    ['alone', tagged, [], ['1'], []],
    ['with itself in the list', tagged, [tagged], ['1'], []],
    ['beside another tag on the same digest', tagged, [claim('a.test/b:2', digest('a'))], ['1'], []],
    ['beside a duplicate for the same reference', tagged, [claim('a.test/b:1')], [], ['1']],
    ['beside the same tag of another repository', tagged, [claim('a.test/c:1')], ['1'], []],
    ['an anchor, alone', anchored, [], [anchor('a')], []],
    [
      'an anchor, beside another reference to the digest',
      anchored,
      [claim(`a.test/b:9@${digest('a')}`)],
      [],
      [anchor('a')],
    ],
    [
      'an anchor, beside a pin to the digest',
      anchored,
      [claim('a.test/b:1', undefined, digest('a'))],
      [],
      [anchor('a')],
    ],
    ['an anchor, beside a tag whose copy it is', anchored, [tagged], [], [anchor('a')]],
    ['an anchor, beside another digest', anchored, [claim(`a.test/b@${digest('b')}`, digest('b'))], [anchor('a')], []],
    [
      'an anchor, beside the digest in another repository',
      anchored,
      [claim(`a.test/c@${digest('a')}`)],
      [anchor('a')],
      [],
    ],
    [
      'a pinned tag, whose pin another one names',
      claim('a.test/b:1', undefined, digest('a')),
      [anchored],
      ['1'],
      [anchor('a')],
    ],
  ])('%s', (_, image, others, remove, keep) => {
    expect(planTags(image, others)).toEqual({ repository: 'a.test/b', remove, keep });
  });
});
