import { expect, it } from '@jest/globals';
import { parseReference } from '@kuik/image';
import { DIGEST, imageOf } from './fixtures.ts';
import { whatToAsk } from './what-to-ask.ts';

const OTHER = `sha256:${'b'.repeat(64)}`;
const forUid = 'uid-app';
const moved = imageOf({ status: { ...imageOf().status, upstream: { forUid, state: 'Moved', digest: OTHER } } });
const unseen = imageOf({ status: { cache: { forUid } } });

it.each([
  ['first by its tag', imageOf(), true, undefined, { by: 'tag', reference: '1', resolve: true, known: DIGEST }],
  ['then by the cached digest', imageOf(), true, 'tag', { by: 'digest', digest: DIGEST }],
  ['or by the one that upstream named last', moved, true, 'tag', { by: 'digest', digest: OTHER }],
  ['then by its tag again', moved, true, 'digest', { by: 'tag', reference: '1', resolve: true, known: OTHER }],
  ['by its tag while no digest is known', unseen, true, 'tag', { by: 'tag', reference: '1', resolve: true }],
  ['by its tag alone', imageOf(), false, 'tag', { by: 'tag', reference: '1', resolve: false, known: DIGEST }],
] as const)('an image is asked for %s', (_, image, resolve, last, expected) => {
  expect(whatToAsk(image, parseReference('registry.example.test/app:1'), resolve, last)).toEqual(expected);
});

it('a reference by digest is asked for by it', () => {
  const pinned = parseReference(`registry.example.test/app:1@${OTHER}`);
  expect(whatToAsk(imageOf(), pinned, true, 'tag')).toEqual({ by: 'tag', reference: OTHER, resolve: false });
});
