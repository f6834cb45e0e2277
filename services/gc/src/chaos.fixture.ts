import { project, stanzaOf, type CachedImage } from '@kuik/contracts';
import { cacheTag, parseReference, toCacheRepository } from '@kuik/image';
import { CACHED_IMAGES } from '@kuik/kube';
import { DIGEST, imageOf } from './fixtures.ts';
import { bend, type World } from './world.fixture.ts';

/** Two tags of one repository, two anchors, one of them shared, and a pin. */
export const IMAGES: Readonly<Record<string, Partial<CachedImage['spec']> & { sourceImage: string }>> = {
  a: { sourceImage: 'docker.io/library/app:1' },
  b: { sourceImage: 'docker.io/library/app:2' },
  c: { sourceImage: `docker.io/library/app:1@${DIGEST}` },
  d: { sourceImage: `docker.io/library/app@sha256:${'d'.repeat(64)}` },
  e: { sourceImage: 'docker.io/library/pinned:1', pin: DIGEST },
  f: { sourceImage: `docker.io/library/app:2@${DIGEST}` },
};

/** mulberry32: the same numbers for the same seed. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Everybody around gc: pods come and go, pod-watcher makes objects, a copier looks first and records later, people delete. */
export class Chaos {
  readonly world: World;
  readonly random: () => number;
  readonly held = new Set<string>();
  /** Copies under way: what their copier saw when it looked. */
  readonly copies = new Map<string, { uid: string; sawTag: boolean }>();
  readonly trace: string[] = [];

  constructor(world: World, random: () => number) {
    this.world = world;
    this.random = random;
    world.holdersOf = (reference) =>
      Object.entries(IMAGES).some(([name, spec]) => this.held.has(name) && spec.sourceImage === reference)
        ? 'held'
        : 'free';
  }

  chance(of: number): boolean {
    return this.random() < of;
  }

  pick(): string {
    const names = Object.keys(IMAGES);
    return names[Math.floor(this.random() * names.length)]!;
  }

  tagOf(name: string): string {
    const reference = parseReference(IMAGES[name]!.sourceImage);
    return `${toCacheRepository(reference)!}:${cacheTag(reference)}`;
  }

  /** pod-watcher: an object for what is held, and whether it is. */
  watch(name: string): void {
    const image = this.world.image(name);
    const held = this.held.has(name);
    if (image === undefined) {
      if (held) {
        const status = { usedBy: { forUid: `uid-${name}`, count: 1 }, cache: undefined, expiresAt: undefined };
        this.world.kube.put<CachedImage>(
          CACHED_IMAGES,
          imageOf({ name, spec: IMAGES[name]!, status: status as unknown as NonNullable<CachedImage['status']> }),
        );
        bend(this.world.kube, name, {});
      }
      return;
    }
    const count = held ? 1 : 0;
    if (image.status?.usedBy?.count === count) return;
    const expiresAt = held ? undefined : new Date(this.world.now - 1000).toISOString();
    bend(this.world.kube, name, {
      status: { usedBy: { forUid: `uid-${name}`, count }, expiresAt },
    });
  }

  /** nextStep, and the copier's first look. */
  look(name: string): void {
    const image = this.world.image(name);
    if (image === undefined || image.metadata.deletionTimestamp !== undefined || this.copies.has(name)) return;
    const cache = stanzaOf(image, 'cache');
    const removal = stanzaOf(image, 'removal');
    const since = Date.parse(cache?.copiedAt ?? '') > Date.parse(removal?.removedAt ?? '');
    const removed = removal?.removedAt !== undefined && !since;
    if (removed ? !this.held.has(name) : cache?.digest !== undefined || removal !== undefined) return;
    this.copies.set(name, { uid: image.metadata.uid, sawTag: this.world.tags.has(this.tagOf(name)) });
  }

  /** The copier has copied what it did not see, and records. */
  record(name: string): void {
    const copy = this.copies.get(name);
    this.copies.delete(name);
    if (copy === undefined) return;
    if (!copy.sawTag) this.world.tags.set(this.tagOf(name), DIGEST);
    if (this.world.image(name)?.metadata.uid !== copy.uid) return;
    this.trace.push(`record ${name} ${copy.sawTag ? 'found' : 'copied'}`);
    this.world.recordCopy(1, name);
  }

  something(): void {
    const name = this.pick();
    const what = this.random();
    if (what < 0.25) {
      if (!this.held.delete(name)) this.held.add(name);
      this.trace.push(`${this.held.has(name) ? 'hold' : 'release'} ${name}`);
      if (this.chance(0.7)) this.watch(name);
    } else if (what < 0.45) this.watch(name);
    else if (what < 0.65) this.look(name);
    else if (what < 0.9) this.record(name);
    else if (what < 0.93 && this.world.image(name)?.metadata.deletionTimestamp === undefined) {
      this.trace.push(`delete ${name}`);
      void this.world.kube.delete(CACHED_IMAGES, { name }).catch(() => undefined);
    }
    this.world.now += 1;
  }

  /** While gc is at it: copies under way are recorded, and somebody wants what is just going. */
  rush(): void {
    for (const name of this.copies.keys()) if (this.chance(0.5)) this.record(name);
    if (!this.chance(0.4)) return this.something();
    const name = this.pick();
    this.held.add(name);
    this.trace.push(`rush ${name}`);
    this.watch(name);
    this.look(name);
  }

  /** What the resources promise and the cache does not have. */
  brokenPromises(): string[] {
    return Object.keys(IMAGES).filter((name) => {
      const image = this.world.image(name);
      if (image === undefined || image.metadata.deletionTimestamp !== undefined) return false;
      return project(image)?.state.digest !== undefined && !this.world.tags.has(this.tagOf(name));
    });
  }
}
