import { expect, it } from '@jest/globals';
import type { UpstreamStanza } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import { DIGEST, imageOf } from './fixtures.ts';
import { whatToAsk } from './what-to-ask.ts';

const OTHER = `sha256:${'b'.repeat(64)}`;
const forUid = 'uid-app';
const withUpstream = (upstream: Partial<UpstreamStanza>) =>
  imageOf({ status: { ...imageOf().status, upstream: { forUid, state: 'Available', digest: OTHER, ...upstream } } });
const error = (code: string) => ({ code, message: 'x', at: 'y' });
const unseen = imageOf({ status: { cache: { forUid } } });
const byTag = (known?: string) => ({ by: 'tag', reference: '1', resolve: true, known });

it.each([
  ['first by its tag', imageOf(), undefined, byTag(DIGEST)],
  ['by its tag while upstream named no digest', imageOf(), 'tag', byTag(DIGEST)],
  ['by its tag while no digest is known', unseen, 'tag', byTag()],
  ['by the digest that the tag named last', withUpstream({}), 'tag', { by: 'digest', digest: OTHER, tag: '1' }],
  ['by the one that it moved to', withUpstream({ state: 'Moved' }), 'tag', { by: 'digest', digest: OTHER, tag: '1' }],
  ['then by its tag again', withUpstream({}), 'digest', byTag(OTHER)],
  [
    'by the digest that the tag named in vain',
    withUpstream({ state: 'Deleted', error: error('KUIK-REG-406') }),
    'tag',
    { by: 'digest', digest: OTHER },
  ],
  ['by its tag when that is gone', withUpstream({ state: 'Deleted', error: error('KUIK-REG-404') }), 'tag', byTag()],
  [
    'by its tag and what that names after a lie, when nobody answered since',
    withUpstream({ state: 'RateLimited', goneSince: 'x', error: error('KUIK-REG-429') }),
    'tag',
    byTag(),
  ],
  [
    'by its tag alone while it is known to lie',
    withUpstream({ state: 'Deleted', goneSince: 'x', error: error('KUIK-REG-406') }),
    'digest',
    byTag(OTHER),
  ],
  ['by its tag when nobody answered', withUpstream({ state: 'Unreachable', error: error('x') }), 'tag', byTag(OTHER)],
] as const)('an image is asked for %s', (_, image, last, expected) => {
  expect(whatToAsk(image, parseReference('registry.example.test/app:1'), true, last)).toEqual(expected);
});

it('an image is asked for by its tag alone without resolveDigest', () => {
  const expected = { by: 'tag', reference: '1', resolve: false, known: OTHER };
  expect(whatToAsk(withUpstream({}), parseReference('registry.example.test/app:1'), false, 'tag')).toEqual(expected);
});

it('a reference by digest is asked for by it', () => {
  const pinned = parseReference(`registry.example.test/app:1@${OTHER}`);
  expect(whatToAsk(imageOf(), pinned, true, 'tag')).toEqual({ by: 'tag', reference: OTHER, resolve: false });
});
