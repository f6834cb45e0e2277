import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CachedImage, Repository } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import { CACHED_IMAGES, KubeError, REPOSITORIES } from '@kuik/kube';
import { memoryKube } from '@kuik/kube/memory';
import { ClusterView } from './cluster-view.ts';
import { ResourceWriter } from './resource-writer.ts';
import { summarise } from './summary.ts';
import { cachedImage, deciderOf, IMAGE, NOW } from './testing/objects.ts';

const REFERENCE = parseReference(IMAGE);

const retry = { firstMs: 5_000, maxMs: 1_800_000, unavailableMs: 21_600_000 };

describe('ResourceWriter', () => {
  let kube: ReturnType<typeof memoryKube>;
  let view: ClusterView;
  let leads: boolean;
  let writer: ResourceWriter;

  beforeEach(() => {
    kube = memoryKube();
    view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 1 }, () => NOW);
    leads = true;
    const assertLeader = (): void => {
      if (!leads) throw new KubeError('conflict', 'not the leader');
    };
    writer = new ResourceWriter(kube, { assertLeader }, view);
  });
  const put = (image: CachedImage) => kube.put<CachedImage>(CACHED_IMAGES, image);

  it('creates, finds who was faster, and refuses a name that stands for something else', async () => {
    expect(await writer.createRepository('repo', REFERENCE)).toBeDefined();
    const made = await writer.createImage('shop', REFERENCE);
    expect(view.images.of(IMAGE)).toEqual([made]);
    expect((await writer.createImage('shop', REFERENCE))?.metadata.uid).toBe(made?.metadata.uid);
    expect(await writer.createImage('shop', parseReference('quay.io/a/b:1'))).toBeUndefined();
    expect(await writer.createRepository('repo', parseReference('quay.io/a/b:1'))).toBeUndefined();
  });

  it('writes nothing without the lease', async () => {
    const image = put(cachedImage());
    leads = false;
    const attempts = [
      writer.createRepository('repo', REFERENCE),
      writer.applyDescription(image, summarise(image, { now: NOW, retry })),
      writer.dropForceWish(image),
      writer.deleteRepository({ ...image, spec: { name: 'x' } }),
    ];
    for (const attempt of attempts) await expect(attempt).rejects.toMatchObject({ code: 'conflict' });
    expect(kube.calls).toEqual([]);
  });

  it('withdraws what met an object that was made anew under the name', async () => {
    const old = put(cachedImage());
    kube.drop(CACHED_IMAGES, { name: 'shop' });
    const { uid: _uid, ...metadata } = cachedImage().metadata;
    const anew = kube.put<CachedImage>(CACHED_IMAGES, { metadata, spec: { sourceImage: IMAGE } });
    expect(anew.metadata.uid).not.toBe(old.metadata.uid);
    expect(await writer.applyDescription(old, summarise(old, { now: NOW, retry }))).toBeUndefined();
    expect(kube.find<CachedImage>(CACHED_IMAGES, { name: 'shop' })?.status?.phase).toBeUndefined();
    expect(view.images.named('shop')?.metadata.uid).toBe(anew.metadata.uid);
  });

  it('does not mind that an object is gone', async () => {
    expect(await writer.applyDescription(cachedImage(), summarise(cachedImage(), { now: NOW, retry }))).toBeUndefined();
  });

  it('changes metadata only of the version that it decided on', async () => {
    const seen = put(cachedImage({ metadata: { annotations: { 'kuik.enix.io/force-update': '1', mine: 'x' } } }));
    await writer.dropForceWish(seen);
    expect(kube.find(CACHED_IMAGES, { name: 'shop' })?.metadata.annotations).toEqual({ mine: 'x' });
    await expect(writer.dropForceWish(seen)).rejects.toMatchObject({ code: 'conflict' });
  });

  it("takes kuik v1's finalizer off a Repository, and no other", async () => {
    const finalizers = ['repository.kuik.enix.io/finalizer', 'mine'];
    const made = kube.put<Repository>(REPOSITORIES, {
      metadata: { name: 'repo', finalizers },
      spec: { name: 'quay.io/a/b' },
    });
    await writer.adoptRepository(made);
    const freed = kube.find<Repository>(REPOSITORIES, { name: 'repo' })!;
    expect(freed.metadata.finalizers).toEqual(['mine']);
    const before = kube.calls.length;
    await writer.adoptRepository(freed);
    expect(kube.calls).toHaveLength(before);
  });
});
