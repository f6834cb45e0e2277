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
import { DIGEST, GRACE_MS, imageOf, NOW, UNREAD_MS, type ImageChange } from './fixtures.ts';
import { Removal } from './removal.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';

type Holders = HoldersConfirmReply['images'][number]['verdict'];

/** The world around gc: an API server, NATS with pod-watcher on it, a cache registry; all in memory. */
export class World {
  readonly kube: MemoryKube = memoryKube();
  readonly server = new MemoryServer();
  readonly watcher: Bus = memoryBus(this.server);
  /** The cache's tags, with the digest of each. */
  readonly tags = new Map<string, string>();
  /** Manifests, by digest, that are read. */
  readonly manifests = new Map<string, string>();
  readonly events: string[] = [];
  /** Repositories whose tags were listed. */
  readonly listed: string[] = [];
  readonly metrics = createMetrics({ service: 'gc', defaults: false });
  now = NOW;
  holders: Holders = 'free';
  leader = true;
  cacheDown = false;
  /** What comes of reading a manifest from the cache, by tag or digest. */
  reading: (reference: string) => void = () => undefined;
  /** What comes of listing a repository's tags. */
  listing: (repository: string) => void = () => undefined;
  /** What others do before each of gc's effects. */
  meanwhile: () => void = () => undefined;
  /** Who holds what is asked about; `holders` unless a test knows better. */
  holdersOf: (reference: string) => Holders = () => this.holders;
  /** Effects until the process dies; undefined: it lives. */
  lifetime: number | undefined;

  static async begin(): Promise<World> {
    const world = new World();
    await world.watcher.bucket(IMAGE_STATE, { create: true }).keys();
    world.watcher.respond(HOLDERS_CONFIRM, ({ images }) =>
      Promise.resolve({ images: images.map(({ uid, reference }) => ({ uid, verdict: world.holdersOf(reference) })) }),
    );
    return world;
  }

  /** A resource with its tag in the cache. */
  add(bent: ImageChange = {}, tag = '1'): void {
    const image = this.kube.put<CachedImage>(CACHED_IMAGES, imageOf(bent));
    bend(this.kube, image.metadata.name, {});
    this.tags.set(`docker.io/library/${bent.name ?? 'nginx'}:${tag}`, DIGEST);
  }

  /** Somebody uses the image again. */
  use(name = 'nginx'): void {
    bend(this.kube, name, { status: { usedBy: { forUid: `uid-${name}`, count: 1 } } });
  }

  /** What the copier records, `afterMs` from now; it has seen that the tag is there. */
  recordCopy(afterMs = 1, name = 'nginx'): string {
    const copiedAt = new Date(this.now + afterMs).toISOString();
    bend(this.kube, name, { status: { cache: { forUid: `uid-${name}`, digest: DIGEST, bytes: 1000, copiedAt } } });
    return copiedAt;
  }

  /** What pod-watcher and copier make of it: copied again when it is used and its resource says that it was removed. */
  copyWhatIsWanted(name = 'nginx', tag = '1'): void {
    const { usedBy, removal, cache } = this.image(name)?.status ?? {};
    const copiedSince = Date.parse(cache?.copiedAt ?? '') > Date.parse(removal?.removedAt ?? '');
    if (usedBy?.count !== 1 || removal?.removedAt === undefined || copiedSince) return;
    this.tags.set(`docker.io/library/${name}:${tag}`, DIGEST);
    this.recordCopy(1, name);
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
        this.meanwhile();
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
      headManifest: (tag: string) => {
        const digest = this.tags.get(`${repository}:${tag}`);
        if (this.cacheDown) return Promise.reject(new RegistryError('refused', 'the cache registry is away'));
        if (digest === undefined) return Promise.reject(new RegistryError('not-found', 'no such tag'));
        return this.#read(tag, { digest, mediaType: INDEX, size: 1 });
      },
      listTags: () => {
        if (this.cacheDown) return Promise.reject(new RegistryError('refused', 'the cache registry is away'));
        this.listed.push(repository);
        this.listing(repository);
        const within = [...this.tags.keys()].filter((tag) => tag.startsWith(`${repository}:`));
        return Promise.resolve({ tags: within.map((tag) => tag.slice(repository.length + 1)) });
      },
      // Blobs are not swept: what a digest was stays, and stands for its own bytes here.
      openManifest: (digest: string) => {
        const bytes = Buffer.from(this.manifests.get(digest) ?? digest);
        return this.#read(digest, { digest, mediaType: INDEX, size: 1, bytes });
      },
      putManifest: dying((tag: string, bytes: Buffer) => {
        this.tags.set(`${repository}:${tag}`, bytes.toString());
        return Promise.resolve(bytes.toString());
      }),
    });
    return new Collection({
      images: { values: () => kube.objects<CachedImage>(CACHED_IMAGES).values(), synced: () => true },
      kube: mortal,
      leadership: { isLeader: () => this.leader },
      condemnation: new Condemnation({ ...shared, onKept: () => undefined }),
      removal: new Removal({ ...shared, cache, now: () => this.now, unreadMs: UNREAD_MS }),
      events: shared.events,
      confirm: (images) => confirmHolders(bus, images, 100),
      clock: { now: () => this.now, monotonic: () => this.now },
      log: silentLogger,
      metrics: this.metrics,
      graceMs: GRACE_MS,
    });
  }

  async #read<T>(reference: string, manifest: T): Promise<T> {
    await Promise.resolve();
    this.reading(reference);
    return manifest;
  }

  pass(minutes: number): void {
    this.now += minutes * 60_000;
  }
}

/** Somebody else's write. The server chose the uid: `uid-<name>` stands for it in what is written. */
export function bend(kube: MemoryKube, name: string, { spec, status }: ImageChange): void {
  const before = kube.find<CachedImage>(CACHED_IMAGES, { name })!;
  const after = { ...before, spec: { ...before.spec, ...spec }, status: { ...before.status, ...status } };
  kube.put(
    CACHED_IMAGES,
    JSON.parse(JSON.stringify(after).replaceAll(`uid-${name}`, before.metadata.uid)) as CachedImage,
  );
}
