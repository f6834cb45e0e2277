import { cosignTags, referrersTag } from '@kuik/image';
import { copyImage } from './copy.ts';
import { RegistryError } from './errors.ts';
import { listedTags } from './listed-tags.ts';
import type { Descriptor } from './plan.ts';
import type { RepositoryClient } from './port.ts';
import { referrersIndex, referrersOf, taggedReferrers } from './referrers.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
/** Bounds of one image: what is about it is small, whoever may write to its repository decides how much there is. */
export const REFERRERS_MAX = 100;
const BYTES_MAX = 256 * 1024 * 1024;
/** Manifests below an image that upstream's referrers API is asked about; those that its list of tags tells of are not counted. */
export const ASKED_BELOW_MAX = 20;
/** Nothing about one referrer: the next one may do. Anything else ends the round. */
const OF_ONE: readonly string[] = ['not-found', 'rejected', 'too-large', 'digest-mismatch', 'forbidden'];

export interface ReferrersRoundOptions {
  readonly source: RepositoryClient;
  readonly target: RepositoryClient;
  /** Whether the source is asked by the referrers API first. Default true. */
  readonly withApi?: boolean;
  /** Told when the source has no such API. */
  readonly onNoApi?: () => void;
  /** A tag that the source has. One list of all tags then tells which of those about the image are there; absent: each is asked for. */
  readonly witness?: string | undefined;
  /** Told when the source's tags cannot be listed at once: see `listedTags`. */
  readonly onUnlisted?: (() => void) | undefined;
  /** How long `of` and `below` may take, each; ms. Default: no limit. */
  readonly withinMs?: number;
}

export interface CopiedReferrers {
  /** Manifests that refer to the image, to one below it, or to one of these, and tags of cosign. */
  readonly count: number;
  /** Why there are fewer than upstream has, or may have. */
  readonly problem?: string;
}

/**
 * Brings what is about one image (signatures, SBOMs, attestations) along: what refers to it and to those in turn, each once, listed by the index under
 * the fallback tag; and cosign's tags. Then the same for the manifests below it, from the same list of tags and within the same bounds. Never fails
 * for what source or target do: what could not be had is told, and a source that fails is asked no more. Throws when `signal` aborts.
 */
export class ReferrersRound {
  readonly #options: ReferrersRoundOptions;
  readonly #source: RepositoryClient;
  #requests = 0;
  #failure: RegistryError | undefined;
  #count = 0;
  #problem: string | undefined;
  #ended = false;
  /** Whether a tag is asked for that no list tells of. */
  #triesTags = true;
  #withApi: boolean;
  #hasApi = false;
  #call: { signal?: AbortSignal } = {};
  readonly #seen = new Set<string>();
  readonly #copied = new Set<string>();
  readonly #followed = new Set<string>();
  /** The source's tags, asked for once; undefined: not known. */
  #tags: Promise<ReadonlySet<string> | undefined> | undefined;
  #tried = 0;
  #bytesLeft = BYTES_MAX;

  constructor(options: ReferrersRoundOptions) {
    this.#options = options;
    this.#source = counted(options.source, () => (this.#requests += 1));
    this.#withApi = options.withApi ?? true;
  }

  /** How often the source was asked. */
  get requests(): number {
    return this.#requests;
  }

  /** What ended the round, at the source or at the target. */
  get failure(): RegistryError | undefined {
    return this.#failure;
  }

  /** What is about the image itself. */
  of(image: string, signal?: AbortSignal): Promise<CopiedReferrers> {
    // The image is there, or will be; what claims to refer to it in a circle is listed, not followed.
    this.#seen.add(image);
    return this.#within(signal, () => this.#bring(image, this.#withApi));
  }

  /**
   * And what is about manifests below it, once the target has these: after `of`, one subject at a time. Costs the source nothing where it has no
   * referrers API, and its list of tags tells of none or is not known; a request for each by the API.
   */
  below(subjects: readonly string[], signal?: AbortSignal): Promise<CopiedReferrers> {
    this.#triesTags = false;
    return this.#within(signal, async () => {
      for (const [at, subject] of subjects.entries()) await this.#bring(subject, this.#withApi && at < ASKED_BELOW_MAX);
      if (subjects.length > ASKED_BELOW_MAX && this.#withApi)
        this.#note(`the image has ${subjects.length} manifests: what refers to the last of them was not asked for`);
    });
  }

  async #within(signal: AbortSignal | undefined, work: () => Promise<void>): Promise<CopiedReferrers> {
    const { withinMs } = this.#options;
    const within = withinMs === undefined ? undefined : AbortSignal.timeout(withinMs);
    const signals = [signal, within].filter((one) => one !== undefined);
    this.#call = signals.length === 0 ? {} : { signal: AbortSignal.any(signals) };
    try {
      if (!this.#ended) await work();
    } catch (error) {
      this.#ended = true;
      if (signal?.aborted === true || !(error instanceof RegistryError)) throw error;
      this.#failure = error;
      this.#note(
        within?.aborted === true
          ? `what refers to the image could not be copied within ${withinMs! / 1000} s`
          : error.message,
      );
    }
    return { count: this.#count, ...(this.#problem === undefined ? {} : { problem: this.#problem }) };
  }

  #note(problem: string): void {
    this.#problem ??= problem.slice(0, 300);
  }

  async #bring(subject: string, withApi: boolean): Promise<void> {
    const subjects = [subject];
    for (const digest of subjects) {
      if (this.#followed.has(digest)) continue;
      this.#followed.add(digest);
      subjects.push(...(await this.#bringReferrers(digest, withApi && this.#withApi)));
    }
    for (const tag of cosignTags(subject)) if (await this.#mayHave(tag)) await this.#copyTag(tag);
  }

  /** Returns those that came. */
  async #bringReferrers(subject: string, withApi: boolean): Promise<string[]> {
    const hasTag = (tag: string): Promise<boolean> => this.#mayHave(tag);
    const found = await referrersOf(this.#source, subject, { withApi, hasTag, ...this.#call });
    if (found.from === 'api') this.#hasApi = true;
    else if (withApi && !this.#hasApi) {
      this.#withApi = false;
      this.#options.onNoApi?.();
    }
    const came: string[] = [];
    for (const one of found.descriptors) {
      if (!this.#seen.has(one.digest)) {
        this.#seen.add(one.digest);
        if (await this.#copy(one.digest, one.digest)) {
          this.#copied.add(one.digest);
          came.push(one.digest);
        }
      }
    }
    const kept = await this.#kept(subject, found.descriptors);
    await this.#writeIndex(subject, kept, kept.length === found.descriptors.length ? found.index?.bytes : undefined);
    return came;
  }

  /** What the target has of it: what came, and what another image's copy had listed there before, which is not of this one's bounds. */
  async #kept(subject: string, found: readonly Descriptor[]): Promise<readonly Descriptor[]> {
    const kept = found.filter(({ digest }) => this.#copied.has(digest));
    if (kept.length === 0 || kept.length === found.length) return kept;
    const { descriptors } = await taggedReferrers(this.#options.target, subject, this.#call);
    const there = new Set(descriptors.map(({ digest }) => digest));
    return found.filter(({ digest }) => this.#copied.has(digest) || there.has(digest));
  }

  /** As the source's own list says; without one a tag may be there, but of one below the image that is not looked after. */
  async #mayHave(tag: string): Promise<boolean> {
    return (await this.#listed())?.has(tag) ?? this.#triesTags;
  }

  async #listed(): Promise<ReadonlySet<string> | undefined> {
    const { witness, onUnlisted } = this.#options;
    if (witness === undefined) return undefined;
    this.#tags ??= listedTags(this.#source, { witness, onUnlisted, ...this.#call });
    return this.#tags;
  }

  async #copyTag(tag: string): Promise<void> {
    try {
      const { digest } = await this.#source.headManifest(tag, this.#call);
      await this.#copy(digest, tag);
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'not-found') throw error;
    }
  }

  async #copy(digest: string, targetTag: string): Promise<boolean> {
    const source = this.#source;
    const { target } = this.#options;
    this.#tried += 1;
    if (this.#tried > REFERRERS_MAX) {
      this.#note(`more than ${REFERRERS_MAX} things refer to the image: the rest stays upstream`);
      return false;
    }
    try {
      const maxBytes = this.#bytesLeft;
      const { bytes } = await copyImage({ source, reference: digest, target, targetTag, maxBytes, ...this.#call });
      this.#bytesLeft -= bytes;
      this.#count += 1;
      return true;
    } catch (error) {
      if (!(error instanceof RegistryError) || !OF_ONE.includes(error.code)) throw error;
      this.#note(error.message);
      return false;
    }
  }

  /** The source's own bytes when the target has all of it. What is listed there already stays when nothing is listed any more. */
  async #writeIndex(subject: string, kept: readonly Descriptor[], exact: Buffer | undefined): Promise<void> {
    if (kept.length === 0) return;
    await this.#options.target.putManifest(referrersTag(subject), exact ?? referrersIndex(kept), INDEX, this.#call);
  }
}

/** The same client; `asked` is told of each call that reads. */
function counted(client: RepositoryClient, asked: () => void): RepositoryClient {
  const told = (): RepositoryClient => {
    asked();
    return client;
  };
  return {
    ...client,
    headManifest: (...request) => told().headManifest(...request),
    openManifest: (...request) => told().openManifest(...request),
    openBlob: (...request) => told().openBlob(...request),
    listTags: (...request) => told().listTags(...request),
    listReferrers: (...request) => told().listReferrers(...request),
  };
}
