import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { makesWay } from './make-way.ts';
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
