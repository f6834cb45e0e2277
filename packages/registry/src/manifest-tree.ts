import { RegistryError } from './errors.ts';
import { attestedBy, isBlobDescriptor, platformOf, readManifest, type Descriptor } from './plan.ts';
import { readBlob } from './open-blob.ts';
import { formatPlatform } from '@kuik/image';
import { inParallel } from './in-parallel.ts';
import type { Manifest, RepositoryClient } from './port.ts';

const PARALLEL = 4;
const MAX_DEPTH = 4;
const MAX_MANIFESTS = 1_000;
const CONFIG_MAX = 4 * 1024 * 1024;

/** One platform of an image, and what became of it. */
export interface ImagePlatform {
  /** `linux/arm64`. */
  platform: string;
  /** Digest of that platform's manifest. */
  digest: string;
  /** `held`: with all its blobs; `left`: not wanted, to be had from upstream on demand; `absent`: the source does not have it. */
  state: 'held' | 'left' | 'absent';
}

/** Everything that hangs on a root manifest. */
export interface ManifestTree {
  root: Manifest;
  /** Manifests below the root, each before whatever lists it. */
  descendants: Manifest[];
  /** Digests of those that attest another one. */
  attestations: ReadonlySet<string>;
  blobs: Descriptor[];
  platforms: ImagePlatform[];
  /** Digests of children that were not wanted and are not in the tree: platforms, and what attests them. */
  left: ReadonlySet<string>;
  /** Bytes already read on the way (an image's config): no second request for them. */
  inline: Map<string, Buffer>;
}

export interface WalkOptions {
  /**
   * Which platforms of an index to take. What attests a platform is taken with it, or when it is wanted itself; nothing else is asked about:
   * what belongs to no platform is always taken.
   */
  wants?: ((descriptor: Descriptor) => boolean) | undefined;
  /** Tries unwanted platforms, too: what is there is told as held. For a source that costs nothing. */
  lookAtAll?: boolean | undefined;
  /** Where a blob is read from if it is there already: the target of a copy that was begun before. */
  held?: RepositoryClient | undefined;
  /** Where manifests below the root are read from if they are there already: reads of manifests are what upstreams count. */
  near?: RepositoryClient | undefined;
  signal?: AbortSignal | undefined;
}

/** Reads the manifests below `root`, each by digest, and lists their blobs. A child that the source lacks is noted, not fatal. */
export async function walkManifests(
  source: RepositoryClient,
  root: Manifest,
  options: WalkOptions,
): Promise<ManifestTree> {
  const walk = new Walk(source, options);
  const content = readManifest(root);
  await walk.visit(root, 0);
  if (content.kind === 'image') await walk.describeImage(root, content.blobs[0]);
  const { found: descendants, attestations, blobs, platforms, left, inline } = walk;
  return { root, descendants, attestations, blobs, platforms, left, inline };
}

/** What is listed in an index of the tree and is not in it: left out, or not there. */
export function lackingOf(tree: Pick<ManifestTree, 'root' | 'descendants'>): Descriptor[] {
  const found = new Set(tree.descendants.map(({ digest }) => digest));
  const listed = [tree.root, ...tree.descendants].flatMap((manifest) => readManifest(manifest).children);
  return listed.filter((child) => !isBlobDescriptor(child) && !found.has(child.digest));
}

class Walk {
  readonly found: Manifest[] = [];
  readonly attestations = new Set<string>();
  readonly blobs: Descriptor[] = [];
  readonly platforms: ImagePlatform[] = [];
  readonly left = new Set<string>();
  readonly inline = new Map<string, Buffer>();
  readonly #seen = new Set<string>();
  readonly #source: RepositoryClient;
  readonly #options: WalkOptions;

  constructor(source: RepositoryClient, options: WalkOptions) {
    this.#source = source;
    this.#options = options;
  }

  async visit(manifest: Manifest, depth: number): Promise<void> {
    const { children, blobs } = readManifest(manifest);
    this.blobs.push(...blobs);
    if (children.length > 0 && depth >= MAX_DEPTH) {
      throw new RegistryError('rejected', `manifest ${manifest.digest}: indexes nest deeper than ${MAX_DEPTH}`);
    }
    const wanted = children.map((child) => this.#wanted(child, children));
    const opened = await inParallel([...children.entries()], PARALLEL, ([at, child]) => this.#open(child, wanted[at]!));
    for (const [at, child] of children.entries()) await this.#child(child, opened[at], wanted[at]!, depth);
  }

  async #child(child: Descriptor, manifest: Manifest | undefined, wanted: boolean, depth: number): Promise<void> {
    const platform = platformOf(child);
    const note = (state: ImagePlatform['state']) => {
      if (platform !== undefined) this.platforms.push({ platform, digest: child.digest, state });
    };
    if (!wanted && manifest === undefined) {
      this.left.add(child.digest);
      return note('left');
    }
    if (isBlobDescriptor(child)) return void this.blobs.push(child);
    if (manifest === undefined) return note('absent');
    if (this.#seen.has(child.digest)) return note('held');
    this.#seen.add(child.digest);
    if (this.#seen.size > MAX_MANIFESTS)
      throw new RegistryError('rejected', `an image of more than ${MAX_MANIFESTS} manifests`);
    await this.visit(manifest, depth + 1);
    this.found.push(manifest);
    if (attestedBy(child) !== undefined) this.attestations.add(child.digest);
    note('held');
  }

  #wanted(child: Descriptor, siblings: readonly Descriptor[]): boolean {
    const { wants = () => true } = this.#options;
    if (platformOf(child) !== undefined) return wants(child);
    const attested = attestedBy(child);
    const about = siblings.filter((one) => one.digest === attested && platformOf(one) !== undefined);
    return about.length === 0 || wants(child) || about.some((one) => wants(one));
  }

  async #open(child: Descriptor, wanted: boolean): Promise<Manifest | undefined> {
    const { near, lookAtAll = false } = this.#options;
    if ((!lookAtAll && !wanted) || isBlobDescriptor(child)) return undefined;
    const nearby = near === undefined ? undefined : await this.#read(near, child).catch(unlessAborted);
    return nearby ?? this.#read(this.#source, child);
  }

  async #read(from: RepositoryClient, child: Descriptor): Promise<Manifest | undefined> {
    const signal = this.#options.signal;
    try {
      const manifest = await from.openManifest(child.digest, signal === undefined ? {} : { signal });
      // The descriptor's type is what the index vouches for; a server's header is not part of any digest.
      return child.mediaType === '' ? manifest : { ...manifest, mediaType: child.mediaType };
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'not-found') return undefined;
      throw error;
    }
  }

  /** A single image names its platform in its config only. */
  async describeImage(root: Manifest, config: Descriptor | undefined): Promise<void> {
    if (config === undefined || config.size > CONFIG_MAX || !/image\.(?:config\.)?v1\+json$/.test(config.mediaType))
      return;
    const bytes = await this.#readConfig(config);
    this.inline.set(config.digest, bytes);
    try {
      const { os, architecture, variant } = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
      if (typeof os !== 'string' || typeof architecture !== 'string') return;
      const platform = formatPlatform({ os, architecture, ...(typeof variant === 'string' ? { variant } : {}) });
      this.platforms.push({ platform, digest: root.digest, state: 'held' });
    } catch {
      // A config that is not JSON belongs to some artifact: it has no platform.
    }
  }

  async #readConfig(config: Descriptor): Promise<Buffer> {
    const { held, signal } = this.#options;
    const request = { size: config.size, ...(signal === undefined ? {} : { signal }) };
    if (held !== undefined) {
      try {
        return await readBlob(await held.openBlob(config.digest, request), CONFIG_MAX, signal);
      } catch (error) {
        unlessAborted(error);
      }
    }
    return readBlob(await this.#source.openBlob(config.digest, request), CONFIG_MAX, signal);
  }
}

/** What is not readable near is read from the source; the copy itself will meet whatever is wrong with the target. */
function unlessAborted(error: unknown): undefined {
  if (!(error instanceof RegistryError) || error.code === 'aborted') throw error;
  return undefined;
}
