import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import { freeImageName, freeRepositoryName, imageIdentity, repositoryIdentity } from './identity.ts';
import { byPrecedence, ResourceIndex } from './resource-index.ts';
import { adoption } from './resource-writer.ts';
import { at, cachedImage, IMAGE } from './testing/objects.ts';

const REFERENCE = parseReference(IMAGE);
const index = () => new ResourceIndex<CachedImage>(imageIdentity);

describe('identity', () => {
  it.each([
    ['nginx', 'docker.io/library/nginx:latest'],
    ['index.docker.io/library/nginx', 'docker.io/library/nginx:latest'],
    [IMAGE, IMAGE],
    ['not:a:reference', 'not:a:reference'],
  ])('of %s is %s', (sourceImage, identity) => {
    expect(imageIdentity({ spec: { sourceImage } })).toBe(identity);
  });

  it.each([
    ['nginx', 'docker.io/library/nginx'],
    ['quay.io/a/b', 'quay.io/a/b'],
    ['a@b', 'a@b'],
  ])('of repository %s is %s', (name, identity) => {
    expect(repositoryIdentity({ spec: { name } })).toBe(identity);
  });
});

describe('names', () => {
  it('grow a longer hash when they are taken by something else', () => {
    const taken = new Set<string>();
    const names = [1, 2, 3, 4].map(() => {
      const name = freeImageName(REFERENCE, (candidate) => taken.has(candidate))!;
      taken.add(name);
      return name;
    });
    expect(names[0]).toMatch(/^registry\.example\.test-shop-1\.0-[0-9a-f]{8}$/);
    expect(names.map((name) => name.length - names[0]!.length)).toEqual([0, 8, 24, 56]);
    expect(freeImageName(REFERENCE, () => true)).toBeUndefined();
    expect(freeRepositoryName(REFERENCE, () => false)).toMatch(/^registry\.example\.test-shop-[0-9a-f]{8}$/);
  });
});

describe('ResourceIndex', () => {
  it('does not take back what is gone when the answer to a write of ours comes after the watch', () => {
    const images = index();
    const written = cachedImage({ metadata: { resourceVersion: '11' } });
    images.put(cachedImage());
    images.remove(cachedImage({ metadata: { resourceVersion: '12' } }));
    expect(images.put(written)).toBe(false);
    expect([...images.values()]).toEqual([]);
    // A restored etcd has it again.
    images.replaceAll([cachedImage()]);
    expect(images.put(written)).toEqual({ before: cachedImage() });
  });

  it('takes newer versions, and refuses older ones', () => {
    const images = index();
    const old = cachedImage({ metadata: { resourceVersion: '9' } });
    const newer = cachedImage({ metadata: { resourceVersion: '10' } });
    expect(images.put(newer)).toEqual({ before: undefined });
    expect(images.put(old)).toBe(false);
    expect(images.put(newer)).toBe(false);
    expect(images.named('shop')).toBe(newer);
    expect(images.put(cachedImage({ metadata: { resourceVersion: '11' } }))).toEqual({ before: newer });
  });

  it('follows an object that was made anew, and is not undone by late news of the old one', () => {
    const images = index();
    const old = cachedImage();
    const anew = cachedImage({
      metadata: { uid: 'uid-2', resourceVersion: '20' },
      spec: { sourceImage: 'quay.io/a/b:1' },
    });
    images.put(old);
    images.put(anew);
    expect(images.put(cachedImage({ metadata: { resourceVersion: '15' } }))).toBe(false);
    expect(images.remove(old)).toBe(false);
    expect(images.of(IMAGE)).toEqual([]);
    expect(images.of('quay.io/a/b:1')).toEqual([anew]);
    expect(images.remove(anew)).toBe(true);
    expect(images.size).toBe(0);
    expect([...images.identities()]).toEqual([]);
  });

  it('believes a full list, whatever versions it holds', () => {
    const images = index();
    images.put(cachedImage({ metadata: { resourceVersion: '99' } }));
    images.put(cachedImage({ metadata: { name: 'gone' } }));
    const restored = cachedImage({ metadata: { resourceVersion: '3' } });
    images.replaceAll([restored]);
    expect([...images.values()]).toEqual([restored]);
  });

  it('puts the oldest first, and what is being deleted last', () => {
    const images = index();
    images.put(cachedImage({ metadata: { name: 'b', uid: 'b', creationTimestamp: at(-5) } }));
    images.put(
      cachedImage({ metadata: { name: 'c', uid: 'c', creationTimestamp: at(-5) }, spec: { sourceImage: IMAGE } }),
    );
    images.put(cachedImage({ metadata: { name: 'a', uid: 'a', creationTimestamp: at(0) } }));
    images.put(cachedImage({ metadata: { name: 'd', uid: 'd', creationTimestamp: at(-9), deletionTimestamp: at(0) } }));
    expect(images.of(IMAGE).map(({ metadata }) => metadata.name)).toEqual(['b', 'c', 'a', 'd']);
    expect(byPrecedence(cachedImage(), cachedImage({ metadata: { creationTimestamp: at(0) } }))).toBeLessThan(0);
  });
});

describe('adoption', () => {
  const ours = {
    finalizers: ['kuik.enix.io/cached-image'],
    labels: { 'kuik.enix.io/repository': 'registry.example.test-shop' },
  };
  const ownedBy = (apiVersion: string, kind: string) => ({ apiVersion, kind, name: 'some', uid: 'some' });
  const repository = ownedBy('kuik.enix.io/v1alpha1', 'Repository');
  const others = [ownedBy('source.example.test/v1', 'Repository'), ownedBy('apps/v1', 'Deployment')];

  it.each([
    ['everything', {}, ours],
    ['nothing', ours, undefined],
    [
      "kuik v1's finalizer goes, a person's stays",
      { ...ours, finalizers: ['cachedimage.kuik.enix.io/finalizer', 'mine'] },
      { finalizers: ['mine', 'kuik.enix.io/cached-image'] },
    ],
    ['a Repository is no owner', { ...ours, ownerReferences: [repository] }, { ownerReferences: [] }],
    [
      'other owners stay',
      { ...ours, ownerReferences: [others[0]!, repository, others[1]!] },
      { ownerReferences: others },
    ],
    ['owners of others alone are no change', { ...ours, ownerReferences: others }, undefined],
    ['what is being deleted is left as it is', { deletionTimestamp: at(0), ownerReferences: [repository] }, undefined],
  ])('lacks %s', (_name, metadata, patch) => {
    expect(adoption(cachedImage({ metadata }), REFERENCE)).toEqual(patch);
  });
});
