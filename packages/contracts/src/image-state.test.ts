import { describe, expect, it } from '@jest/globals';
import { project, stanzaOf, supersedes } from './image-state.ts';
import type { CachedImage } from './resources.ts';
import { imageState } from './subjects.ts';

const DIGEST = `sha256:${'ab'.repeat(32)}`;

function image(bend: (image: CachedImage) => void = () => undefined): CachedImage {
  const made: CachedImage = {
    metadata: { name: 'x', uid: 'u1', resourceVersion: '41' },
    spec: { sourceImage: 'nginx:1.27' },
    status: {
      cache: { forUid: 'u1', digest: DIGEST, mediaType: 'application/vnd.oci.image.index.v1+json', tag: '1.27' },
    },
  };
  bend(made);
  return made;
}

describe('project', () => {
  it('tells what the cache holds', () => {
    const projected = project(image())!;
    expect(projected.key).toMatch(/^[0-9a-f]{16}\.[0-9a-f]{32}$/);
    expect(projected.state).toEqual({
      reference: 'docker.io/library/nginx:1.27',
      uid: 'u1',
      resourceVersion: '41',
      cacheTag: '1.27',
      digest: DIGEST,
      mediaType: 'application/vnd.oci.image.index.v1+json',
    });
    expect(imageState.parse(projected.state)).toEqual(projected.state);
  });

  it.each<[string, (image: CachedImage) => void, object]>([
    ['nothing cached yet', (i) => delete i.status, { digest: undefined, cacheTag: '1.27' }],
    ['a stanza of an earlier object', (i) => (i.status!.cache!.forUid = 'u0'), { digest: undefined }],
    [
      'condemned',
      (i) => (i.status!.removal = { forUid: 'u1', condemnedAt: '2026-01-01T00:00:00Z', reason: 'Expired', epoch: 1 }),
      { condemned: true, digest: DIGEST },
    ],
    [
      'removed',
      (i) =>
        (i.status!.removal = {
          forUid: 'u1',
          condemnedAt: '2026-01-01T00:00:00Z',
          removedAt: '2026-01-01T00:00:00Z',
          reason: 'Expired',
          epoch: 1,
        }),
      { condemned: true, digest: undefined, mediaType: undefined },
    ],
    [
      "another object's removal",
      (i) => (i.status!.removal = { forUid: 'u0', condemnedAt: '2026-01-01T00:00:00Z', reason: 'Expired', epoch: 1 }),
      { condemned: undefined },
    ],
    [
      'made for an admission',
      (i) => (i.metadata.annotations = { 'kuik.enix.io/request-id': 'r-1' }),
      { requestId: 'r-1' },
    ],
    [
      "somebody's longer text is no request id",
      (i) => (i.metadata.annotations = { 'kuik.enix.io/request-id': 'r'.repeat(129) }),
      { requestId: undefined },
    ],
    ['pinned', (i) => (i.spec.pin = DIGEST), { pin: DIGEST }],
    [
      'by digest',
      (i) => ((i.spec.sourceImage = `app@${DIGEST}`), delete i.status),
      { cacheTag: `kuik-sha256-${'ab'.repeat(32)}` },
    ],
  ])('%s', (_name, bend, expected) => {
    const { state } = project(image(bend))!;
    for (const [field, value] of Object.entries(expected)) expect(state[field as keyof typeof state]).toEqual(value);
  });

  it('gives nothing for what is no reference', () =>
    expect(project(image((i) => (i.spec.sourceImage = '@@@')))).toBeUndefined());

  it('gives one key to every spelling of one reference', () => {
    const keys = ['nginx:1.27', 'docker.io/nginx:1.27', 'index.docker.io/library/nginx:1.27'].map(
      (text) => project(image((i) => (i.spec.sourceImage = text)))!.key,
    );
    expect(new Set(keys).size).toBe(1);
  });

  it('finds stanzas of this object only', () => {
    expect(stanzaOf(image(), 'cache')?.digest).toBe(DIGEST);
    expect(
      stanzaOf(
        image((i) => (i.metadata.uid = 'u2')),
        'cache',
      ),
    ).toBeUndefined();
  });
});

describe('supersedes', () => {
  const state = (uid: string, resourceVersion: string) => ({ reference: 'x', uid, resourceVersion });
  it.each([
    ['nothing stored', state('u1', '5'), undefined, true],
    ['newer', state('u1', '10'), state('u1', '9'), true],
    ['older', state('u1', '9'), state('u1', '10'), false],
    ['the same', state('u1', '9'), state('u1', '9'), false],
    ['another object, older version', state('u2', '3'), state('u1', '9'), true],
    ['beyond 2^53', state('u1', '9007199254740993'), state('u1', '9007199254740992'), true],
  ])('%s', (_name, next, stored, expected) => expect(supersedes(next, stored)).toBe(expected));
});
