import { describe, expect, it } from '@jest/globals';
import type { CachedImage, Repository } from '@kuik/contracts';
import { makesWay, repositoryMakesWay } from './make-way.ts';
import { at, cachedImage, cacheStanza, failedCopy, removalStanza, upstreamStanza } from './testing/objects.ts';

type Change = Parameters<typeof cachedImage>[0];

const OURS: NonNullable<Change>['metadata'] = {
  name: 'registry.example.test-shop-1.0-0be1f7aa',
  uid: 'ours',
  labels: { 'kuik.enix.io/repository': 'registry.example.test-shop' },
  annotations: { 'kuik.enix.io/request-id': 'r-1' },
  finalizers: ['kuik.enix.io/cached-image'],
};
const THEIRS = cachedImage({ metadata: { name: 'by-hand', uid: 'theirs' } });

const ours = (change: Change = {}): CachedImage =>
  cachedImage({ ...change, metadata: { ...OURS, ...change.metadata } });
const madeLately = ({ metadata }: CachedImage): boolean => metadata.uid.startsWith('ours');
const decide = (image: CachedImage, others: readonly CachedImage[] = [THEIRS]) =>
  makesWay(image, [image, ...others], madeLately);

describe('makesWay', () => {
  it.each<[string, CachedImage]>([
    ['as it was created', ours()],
    ['its finalizer off already', ours({ metadata: { finalizers: [] } })],
    ['described by us', ours({ status: { phase: 'Waiting', usedBy: { forUid: 'ours', count: 1 } } })],
    ['older than the other', ours({ metadata: { creationTimestamp: at(-60 * 86_400_000) } })],
  ])('lets a fresh object of ours go: %s', (_, image) => {
    expect(decide(image)).toEqual({ do: 'go', reason: 'Surplus' });
  });

  it.each<[string, string, CachedImage]>([
    ['it is being deleted', 'Going', ours({ metadata: { deletionTimestamp: at(0) } })],
    ['a person made it', 'NotMadeHere', cachedImage({ metadata: { ...OURS, uid: 'another' } })],
    ['a person retains it', 'SomebodySaidMore', ours({ spec: { retain: true } })],
    ['a person dated it', 'SomebodySaidMore', ours({ spec: { expiresAt: at(1) } })],
    ['a person annotated it', 'SomebodySaidMore', ours({ metadata: { annotations: { note: 'x' } } })],
    ['a person labelled it', 'SomebodySaidMore', ours({ metadata: { labels: { team: 'x' } } })],
    ['somebody else holds it', 'SomebodySaidMore', ours({ metadata: { finalizers: ['someone.test/else'] } })],
    [
      'somebody owns it',
      'SomebodySaidMore',
      ours({ metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }] } }),
    ],
    ['it has bytes', 'SomebodySaidMore', ours({ status: { cache: cacheStanza() } })],
    ['its copy was tried', 'SomebodySaidMore', ours({ status: { cache: failedCopy() } })],
    ['upstream was asked', 'SomebodySaidMore', ours({ status: { upstream: upstreamStanza() } })],
    ['it was condemned', 'SomebodySaidMore', ours({ status: { removal: removalStanza() } })],
  ])('keeps an object when %s', (_, reason, image) => {
    expect(decide(image)).toEqual({ do: 'stay', reason });
  });

  it.each<[string, CachedImage[]]>([
    ['nobody', []],
    ['one that is being deleted', [cachedImage({ metadata: { uid: 'theirs', deletionTimestamp: at(0) } })]],
    ['another fresh one of ours', [ours({ metadata: { name: 'longer', uid: 'ours-2' } })]],
  ])('keeps it beside %s', (_, others) => {
    expect(decide(ours(), others)).toEqual({ do: 'stay', reason: 'Alone' });
  });
});

describe('repositoryMakesWay', () => {
  const repository = (
    metadata: Partial<Repository['metadata']>,
    spec: Partial<Repository['spec']> = {},
  ): Repository => ({
    metadata: {
      name: 'registry.example.test-shop',
      uid: 'ours',
      resourceVersion: '1',
      labels: OURS.labels!,
      ...metadata,
    },
    spec: { name: 'registry.example.test/shop', ...spec },
  });
  const theirs = repository({ name: 'by-hand', uid: 'theirs' });

  it.each<[string, string, Repository, Repository[]]>([
    ['goes as it was created', 'Surplus', repository({}), [theirs]],
    ['stays when it is being deleted', 'Going', repository({ deletionTimestamp: at(0) }), [theirs]],
    ['stays when a person made it', 'NotMadeHere', repository({ uid: 'another' }), [theirs]],
    ['stays with a wish', 'SomebodySaidMore', repository({}, { updateInterval: '1h' }), [theirs]],
    ['stays with an annotation', 'SomebodySaidMore', repository({ annotations: { note: 'x' } }), [theirs]],
    ['stays with a label', 'SomebodySaidMore', repository({ labels: { team: 'x' } }), [theirs]],
    ['stays when somebody holds it', 'SomebodySaidMore', repository({ finalizers: ['someone.test/else'] }), [theirs]],
    ['stays alone', 'Alone', repository({}), []],
  ])('%s', (_name, reason, one, others) => {
    const known = ({ metadata }: Repository): boolean => metadata.uid === 'ours';
    expect(repositoryMakesWay(one, [one, ...others], known).reason).toBe(reason);
  });
});
