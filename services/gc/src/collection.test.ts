import { beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBus, MemoryServer } from '@kuik/bus/memory';
import { announceState, type Bus } from '@kuik/bus';
import { HOLDERS_CONFIRM, IMAGE_STATE, project, type CachedImage, type HoldersConfirmReply } from '@kuik/contracts';
import { CACHED_IMAGES } from '@kuik/kube';
import { memoryKube, type MemoryKube } from '@kuik/kube/memory';
import { RegistryError } from '@kuik/registry';
import { createMetrics, silentLogger } from '@kuik/runtime';

import { Collection } from './collection-loop.ts';
import { Condemnation } from './condemnation.ts';
import { confirmHolders } from './confirm-holders.ts';
import { GRACE_MS, imageOf, NOW, type ImageChange } from './fixtures.ts';
import { Removal } from './removal.ts';

type Holders = HoldersConfirmReply['images'][number]['verdict'];
const signal = new AbortController().signal;

/** The world around gc: an API server, NATS with pod-watcher on it, a cache registry; all in memory. */
class World {
  readonly kube: MemoryKube = memoryKube();
  readonly server = new MemoryServer();
  readonly watcher: Bus = memoryBus(this.server);
  readonly tags = new Set<string>();
  readonly events: string[] = [];
  readonly metrics = createMetrics({ service: 'gc', defaults: false });
  now = NOW;
  holders: Holders = 'free';
  leader = true;
  cacheDown = false;
  /** Effects until the process dies; undefined: it lives. */
  lifetime: number | undefined;

  static async begin(): Promise<World> {
    const world = new World();
    await world.watcher.bucket(IMAGE_STATE, { create: true }).keys();
    world.watcher.respond(HOLDERS_CONFIRM, ({ images }) =>
      Promise.resolve({ images: images.map(({ uid }) => ({ uid, verdict: world.holders })) }),
    );
    return world;
  }

  /** A resource with its tag in the cache. */
  add(bent: ImageChange = {}, tag = '1'): void {
    const image = this.kube.put<CachedImage>(CACHED_IMAGES, imageOf(bent));
    bend(this.kube, image.metadata.name, {});
    this.tags.add(`docker.io/library/${bent.name ?? 'nginx'}:${tag}`);
  }

  image(name = 'nginx'): CachedImage | undefined {
    return this.kube.find<CachedImage>(CACHED_IMAGES, { name });
  }

  async state(name = 'nginx') {
    const { key } = project(imageOf({ name }))!;
    return (await this.watcher.bucket(IMAGE_STATE).get(key))?.value;
  }

  /** A fresh process: nothing that the last one remembered. */
  process(): Collection {
    const bus = memoryBus(this.server);
    const dying = <A extends unknown[], R>(effect: (...args: A) => Promise<R>) => {
      return async (...args: A): Promise<R> => {
        if (this.lifetime !== undefined && this.lifetime-- <= 0) throw new Error('SIGKILL');
        return effect(...args);
      };
    };
    const { kube } = this;
    const mortal = {
      get: kube.get.bind(kube),
      pages: kube.pages.bind(kube),
      apply: dying(kube.apply.bind(kube)) as MemoryKube['apply'],
      delete: dying(kube.delete.bind(kube)),
      mergePatch: dying(kube.mergePatch.bind(kube)) as MemoryKube['mergePatch'],
    };
    const states = bus.bucket(IMAGE_STATE);
    const shared = {
      kube: mortal,
      announce: dying((image: CachedImage) => announceState(states, image)),
      events: { event: (_: unknown, __: unknown, reason: string) => void this.events.push(reason) },
      log: silentLogger,
      assertLeader: () => undefined,
      graceMs: GRACE_MS,
    };
    const cache = (repository: string) => ({
      deleteTag: dying((tag: string) => {
        if (this.cacheDown) throw new RegistryError('refused', 'the cache registry is away');
        return Promise.resolve(this.tags.delete(`${repository}:${tag}`));
      }),
    });
    return new Collection({
      images: { values: () => kube.objects<CachedImage>(CACHED_IMAGES).values(), synced: () => true },
      kube: mortal,
      leadership: { isLeader: () => this.leader },
      condemnation: new Condemnation({ ...shared, onKept: () => undefined }),
      removal: new Removal({ ...shared, cache, now: () => this.now }),
      confirm: (images) => confirmHolders(bus, images, 100),
      clock: { now: () => this.now, monotonic: () => this.now },
      log: silentLogger,
      metrics: this.metrics,
      graceMs: GRACE_MS,
    });
  }

  pass(minutes: number): void {
    this.now += minutes * 60_000;
  }
}

/** Somebody else's write. The server chose the uid: `uid-<name>` stands for it in what is written. */
function bend(kube: MemoryKube, name: string, { spec, status }: ImageChange): void {
  const before = kube.find<CachedImage>(CACHED_IMAGES, { name })!;
  const after = { ...before, spec: { ...before.spec, ...spec }, status: { ...before.status, ...status } };
  kube.put(
    CACHED_IMAGES,
    JSON.parse(JSON.stringify(after).replaceAll(`uid-${name}`, before.metadata.uid)) as CachedImage,
  );
}

let world: World;
let gc: Collection;
beforeEach(async () => {
  world = await World.begin();
  gc = world.process();
});
const round = () => gc.round(signal);
const change = (bent: ImageChange, name = 'nginx') => bend(world.kube, name, bent);
const used = () => change({ status: { usedBy: { forUid: 'uid-nginx', count: 1 } } });

describe('an image that has expired', () => {
  it('is condemned, waits its grace, and goes: tag first, resource last', async () => {
    world.add();
    await round();
    expect(world.image()?.status?.removal).toMatchObject({
      reason: 'Unused',
      condemnedAt: new Date(NOW).toISOString(),
    });
    expect(await world.state()).toMatchObject({ condemned: true });
    expect(world.events).toEqual(['Expiring']);
    await round();
    world.pass(4);
    await round();
    expect(world.tags.size).toBe(1);
    world.pass(1);
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(0);
    expect(world.events).toEqual(['Expiring', 'Removed']);
    expect(await world.metrics.render()).toContain('kuik_gc_removed_total{reason="Unused"} 1');
  });

  it('is kept when it is used again, and nodes hear of that', async () => {
    world.add();
    await round();
    used();
    world.pass(9);
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    expect((await world.state())?.condemned).toBeUndefined();
    expect(world.events).toEqual(['Expiring', 'Kept']);
    expect(world.tags.size).toBe(1);
  });

  it('is kept when pod-watcher says that somebody holds it, whatever the resource says', async () => {
    world.add();
    await round();
    world.pass(9);
    world.holders = 'held';
    await round();
    expect(world.tags.size).toBe(1);
    expect(world.events).toEqual(['Expiring', 'Kept']);
  });

  it('is condemned with a greater epoch the next time', async () => {
    world.add();
    await round();
    const first = world.image()!.status!.removal!.epoch;
    change({ spec: { retain: true } });
    await round();
    change({ spec: { retain: false } });
    world.pass(1);
    await round();
    expect(world.image()!.status!.removal!.epoch).toBeGreaterThan(first);
  });

  it('stays while pod-watcher does not know', async () => {
    world.add();
    await round();
    world.pass(9);
    world.holders = 'unknown';
    await round();
    expect(world.tags.size).toBe(1);
    expect(await world.metrics.render()).toContain('kuik_gc_kept_total{reason="HoldersUnknown"} 1');
  });

  it('stays while pod-watcher does not answer', async () => {
    world.add();
    await round();
    world.pass(9);
    await world.watcher.close();
    await expect(round()).rejects.toMatchObject({ code: 'no-responders' });
    expect(world.image()?.status?.removal?.removedAt).toBeUndefined();
    expect(world.tags.size).toBe(1);
  });

  it('stays while the cache registry is away, and goes when it is back', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toMatchObject({ code: 'refused' });
    expect(world.image()?.metadata.finalizers).toHaveLength(1);
    expect((await world.state())?.digest).toBeUndefined();
    world.cacheDown = false;
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('used again after its removal began: it is the copier that brings it back, then it is kept', async () => {
    world.add();
    await round();
    world.pass(9);
    world.cacheDown = true;
    await expect(round()).rejects.toThrow();
    used();
    world.cacheDown = false;
    await round();
    expect(world.image()?.status?.removal?.removedAt).toBeDefined();
    change({
      status: { cache: { forUid: 'uid-nginx', digest: 'sha256:x', copiedAt: new Date(world.now + 1).toISOString() } },
    });
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    expect(world.events).toEqual(['Expiring', 'Kept']);
  });

  it('is left alone by a replica that does not lead', async () => {
    world.add();
    world.leader = false;
    await round();
    expect(world.kube.calls.filter(({ verb }) => verb === 'apply')).toEqual([]);
  });

  it('is judged anew when it changed between two writes', async () => {
    world.add();
    world.kube.failNext('conflict', { verb: 'apply' });
    await round();
    expect(world.image()?.status?.removal).toBeUndefined();
    await round();
    expect(world.image()?.status?.removal).toBeDefined();
  });

  it('does not hold up the others when its own tag can not be deleted', async () => {
    world.add({ name: 'bad' });
    world.add({ name: 'good' });
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      if (tag.includes('bad')) throw new RegistryError('rejected', 'the cache registry refuses to delete');
      return deleteTag(tag);
    };
    await round();
    expect([world.image('bad'), world.image('good')].map((image) => image?.metadata.name)).toEqual(['bad', undefined]);
  });
});

describe('tags that several resources need', () => {
  const digest = `sha256:${'d'.repeat(64)}`;
  const anchor = `kuik-sha256-${'d'.repeat(64)}`;
  const unusedAnchor = (name: string, tag: string) => ({
    name,
    spec: { sourceImage: `docker.io/library/nginx:${tag}@${digest}` },
    status: { usedBy: { forUid: `uid-${name}`, count: 0 } },
  });

  it('keeps an anchor while another resource names the digest, and removes it with the last', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } } });
    world.tags.clear();
    world.tags.add(`docker.io/library/nginx:${anchor}`);
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(1);
    change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
    await round();
    world.pass(9);
    await round();
    expect(world.image('two')).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('removes it when all of them go in one round', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add(unusedAnchor('two', '2'));
    world.tags.clear();
    world.tags.add(`docker.io/library/nginx:${anchor}`);
    await round();
    world.pass(9);
    await round();
    expect(world.kube.objects(CACHED_IMAGES)).toEqual([]);
    expect(world.tags.size).toBe(0);
  });
});

describe('a resource that a person deleted', () => {
  const remove = () => world.kube.delete(CACHED_IMAGES, { name: 'nginx' });

  it('takes its tag along when nobody holds it', async () => {
    world.add({ status: { usedBy: { forUid: 'uid-nginx', count: 0 } } });
    await remove();
    expect(world.image()).toBeDefined();
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(0);
    expect(world.events).toEqual(['Removed']);
  });

  it('leaves its bytes when somebody holds it', async () => {
    world.add();
    await remove();
    world.holders = 'held';
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(1);
    expect(world.events).toEqual(['Kept']);
  });

  it('waits while nobody can say who holds it', async () => {
    world.add();
    await remove();
    world.holders = 'unknown';
    await round();
    expect(world.image()).toBeDefined();
    expect(world.tags.size).toBe(1);
  });

  it('keeps its finalizer while the cache registry is away', async () => {
    world.add();
    await remove();
    world.cacheDown = true;
    await expect(round()).rejects.toMatchObject({ code: 'refused' });
    expect(world.image()?.metadata.finalizers).toHaveLength(1);
    world.cacheDown = false;
    await round();
    expect(world.image()).toBeUndefined();
  });

  it('leaves finalizers of others in place', async () => {
    world.add({ finalizers: ['kuik.enix.io/cached-image', 'someone.test/else'] });
    await remove();
    await round();
    expect(world.image()?.metadata.finalizers).toEqual(['someone.test/else']);
  });

  it('goes without a word of the cache when it is no reference', async () => {
    world.add({ spec: { sourceImage: 'no reference: at all' } });
    await remove();
    await round();
    expect(world.image()).toBeUndefined();
    expect(world.tags.size).toBe(1);
  });
});

describe('a crash', () => {
  it.each([
    ['of an expiring image', false],
    ['of a deleted one', true],
  ])('between any two steps %s is repaired by the next process', async (_, deleted) => {
    for (let lifetime = 0; ; lifetime++) {
      world = await World.begin();
      world.add();
      world.add({ name: 'other', status: { usedBy: { forUid: 'uid-other', count: 1 } } });
      if (deleted) await world.kube.delete(CACHED_IMAGES, { name: 'nginx' });
      world.lifetime = lifetime;
      let crashed = false;
      for (let step = 0; step < 4; step++) {
        try {
          gc = crashed || step === 0 ? world.process() : gc;
          await round();
        } catch {
          crashed = true;
          world.lifetime = undefined;
        }
        world.pass(6);
      }
      expect(world.image()).toBeUndefined();
      expect([...world.tags]).toEqual(['docker.io/library/other:1']);
      expect(world.image('other')).toBeDefined();
      if (!crashed) {
        expect(lifetime).toBeGreaterThan(deleted ? 1 : 6);
        return;
      }
    }
  });

  it('never leaves a resource that promises what the cache does not have', async () => {
    for (let lifetime = 0; lifetime < 10; lifetime++) {
      world = await World.begin();
      world.add();
      gc = world.process();
      await round();
      world.pass(6);
      world.lifetime = lifetime;
      await round().catch(() => undefined);
      const image = world.image();
      if (image === undefined || world.tags.size > 0) continue;
      expect(project(image)?.state.digest).toBeUndefined();
    }
  });
});
