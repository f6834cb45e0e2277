import { beforeEach, describe, expect, it } from '@jest/globals';
import { type CachedImage, type CacheStanza, type CopyJob, FIELD_MANAGERS } from '@kuik/contracts';
import { CACHED_IMAGES, isKubeError } from '@kuik/kube';
import { memoryKube } from '@kuik/kube/memory';
import { silentLogger, systemClock } from '@kuik/runtime';
import { ClusterView } from './cluster-view.ts';
import { ImageReconciler } from './image-reconciler.ts';
import { Intents } from './intents.ts';
import { COMPLETE } from './knowledge.ts';
import { ResourceWriter } from './resource-writer.ts';
import { cacheStanza, deciderOf, failedCopy, IMAGE, podView } from './testing/objects.ts';

/** The view lags as far as a test wants: nothing but what it shows, and what our own writes returned, is known. */
describe('an image that a person names while we do', () => {
  let kube: ReturnType<typeof memoryKube>;
  let view: ClusterView;
  let jobs: CopyJob[];
  let images: ImageReconciler;
  let restMs: number;

  beforeEach(() => {
    restMs = 0;
    kube = memoryKube();
    view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 1 }, () => Date.now());
    jobs = [];
    images = new ImageReconciler({
      view,
      knowledge: () => COMPLETE,
      writer: new ResourceWriter(kube, { assertLeader: () => undefined }, view),
      intents: new Intents({ enqueue: (job) => Promise.resolve(jobs.push(job) > 0) }),
      hints: { expected: () => undefined, lastPulled: () => undefined },
      missing: { wants: () => false, sent: () => undefined, pulled: () => [], wrong: () => [] },
      moved: { wants: () => false, sent: () => undefined },
      checks: { intervalMs: 600_000 },
      platforms: { wanted: () => undefined, pendingMs: () => 0 },
      namespaceGone: () => false,
      clock: systemClock,
      log: silentLogger,
      retry: { firstMs: 5_000, maxMs: 1_800_000, unavailableMs: 21_600_000 },
      unusedMs: 1_000,
      // Described at the second look, whatever its copy does.
      settling: { begin: () => undefined, leftMs: () => 0, restMs: () => restMs },
      pace: { waitMs: () => 0, told: () => undefined },
      count: () => undefined,
    });
    view.putHolder(podView());
  });

  const stored = () => kube.objects<CachedImage>(CACHED_IMAGES);
  const phaseOf = (wanted: string) => stored().find(({ metadata }) => metadata.name === wanted)?.status?.phase;
  const byHand = (spec: object = {}) =>
    kube.put<CachedImage>(CACHED_IMAGES, { metadata: { name: 'by-hand' }, spec: { sourceImage: IMAGE, ...spec } });
  const ours = () => stored().find(({ metadata }) => metadata.name !== 'by-hand');
  /** The watch shows it at last. */
  const show = (image: CachedImage) => {
    view.putImage(image);
    return images.reconcile(IMAGE);
  };

  it.each(['at once', 'after the description of ours'])('is one object, the person’s: seen %s', async (when) => {
    const theirs = byHand({ retain: true });
    await images.reconcile(IMAGE);
    expect(stored()).toHaveLength(2);
    if (when !== 'at once') await images.reconcile(IMAGE);
    await show(theirs);
    expect(stored()).toEqual([
      expect.objectContaining({
        metadata: expect.objectContaining({ name: 'by-hand', finalizers: ['kuik.enix.io/cached-image'] }) as unknown,
        spec: { sourceImage: IMAGE, retain: true },
        status: expect.objectContaining({ phase: 'Waiting' }) as unknown,
      }),
    ]);
    expect(jobs.at(-1)).toMatchObject({ uid: theirs.metadata.uid, reference: IMAGE });
  });

  it.each<[string, CacheStanza, boolean]>([
    ['not before its end when it was copied without trouble', cacheStanza(), false],
    ['at once when it could not be copied', failedCopy(), true],
  ])('is described in a rush of others: %s', async (_when, cache, described) => {
    await images.reconcile(IMAGE);
    const { name, uid } = ours()!.metadata;
    const options = { fieldManager: FIELD_MANAGERS.cache, subresource: 'status' } as const;
    const status = { cache: { ...cache, forUid: uid } };
    restMs = 3_000;
    const next = await show(await kube.apply<CachedImage>(CACHED_IMAGES, { name }, { status }, options));
    expect(phaseOf(name) !== undefined).toBe(described);
    if (!described) expect(next).toEqual({ afterMs: 3_000 });
    restMs = 0;
    await images.reconcile(IMAGE);
    expect(phaseOf(name)).toBeDefined();
  });

  it('stays one object when the watch shows ours late, once more', async () => {
    const theirs = byHand();
    await images.reconcile(IMAGE);
    const ghost = ours()!;
    await show(theirs);
    await show(ghost);
    expect(stored().map(({ metadata }) => metadata.name)).toEqual(['by-hand']);
    expect(view.images.of(IMAGE).map(({ metadata }) => metadata.name)).toEqual(['by-hand']);
  });

  it('takes nothing back that holds bytes: the second one is a duplicate', async () => {
    const theirs = byHand();
    await images.reconcile(IMAGE);
    const { name, uid } = ours()!.metadata;
    const status = { cache: cacheStanza({ forUid: uid }) };
    const options = { fieldManager: FIELD_MANAGERS.cache, subresource: 'status' } as const;
    view.putImage(await kube.apply<CachedImage>(CACHED_IMAGES, { name }, { status }, options));
    await show(theirs);
    expect(stored()).toHaveLength(2);
    expect([phaseOf('by-hand'), phaseOf(name)]).toContain('Duplicate');
  });

  it('takes nothing back that somebody wrote after the version that was decided on', async () => {
    const theirs = byHand();
    await images.reconcile(IMAGE);
    const { name } = ours()!.metadata;
    // Not seen yet.
    const annotated = await kube.mergePatch<CachedImage>(
      CACHED_IMAGES,
      { name },
      { metadata: { annotations: { note: 'keep me' } } },
    );
    const refused: unknown = await show(theirs).catch((error: unknown) => error);
    expect(isKubeError(refused, 'conflict')).toBe(true);
    await show(annotated);
    expect(stored()).toHaveLength(2);
    expect(ours()?.metadata).toMatchObject({
      annotations: { note: 'keep me' },
      finalizers: ['kuik.enix.io/cached-image'],
    });
  });

  it('puts the finalizer back when somebody writes between taking it off and the deletion', async () => {
    const theirs = byHand();
    await images.reconcile(IMAGE);
    kube.failNext('conflict', { verb: 'delete', resource: CACHED_IMAGES });
    const { name } = ours()!.metadata;
    await expect(show(theirs)).rejects.toMatchObject({ code: 'conflict' });
    expect(ours()?.metadata.finalizers ?? []).toEqual([]);
    await show(await kube.mergePatch<CachedImage>(CACHED_IMAGES, { name }, { spec: { retain: true } }));
    expect(ours()?.metadata.finalizers).toEqual(['kuik.enix.io/cached-image']);
  });
});
