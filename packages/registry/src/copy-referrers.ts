import { cosignTags, referrersTag } from '@kuik/image';
import { copyImage } from './copy.ts';
import { RegistryError } from './errors.ts';
import { listedTags } from './listed-tags.ts';
import type { Descriptor } from './plan.ts';
import type { RepositoryClient } from './port.ts';
import { referrersIndex, referrersOf } from './referrers.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
/** Bounds of one image: what is about it is small, whoever may write to its repository decides how much there is. */
export const REFERRERS_MAX = 100;
const BYTES_MAX = 256 * 1024 * 1024;
/** Nothing about one referrer: the next one may do. Anything else ends the round. */
const OF_ONE: readonly string[] = ['not-found', 'rejected', 'too-large', 'digest-mismatch', 'forbidden'];

export interface CopyReferrersOptions {
  readonly source: RepositoryClient;
  readonly target: RepositoryClient;
  /** Digest of the image. */
  readonly subject: string;
  /** Whether the source is asked by the referrers API first. Default true. */
  readonly withApi?: boolean;
  /** Told when the source has no such API. */
  readonly onNoApi?: () => void;
  /** A tag that the source has. One list of all tags then tells which of those about the image are there; absent: each is asked for. */
  readonly witness?: string | undefined;
  /** Told when the source's tags cannot be listed at once: see `listedTags`. */
  readonly onUnlisted?: (() => void) | undefined;
  readonly signal?: AbortSignal;
}

export interface CopiedReferrers {
  /** Manifests that refer to the image or to one of these, and tags of cosign. */
  readonly count: number;
  /** Why there are fewer than upstream has. */
  readonly problem?: string;
}

/**
 * Brings what is about an image (signatures, SBOMs, attestations) along: what refers to it and to those in turn, each once, listed by the index under
 * the fallback tag; and cosign's tags. Never fails for what source or target do: what could not be had is told. Throws when `signal` aborts.
 */
export async function copyReferrers(options: CopyReferrersOptions): Promise<CopiedReferrers> {
  const round = new Round(options);
  try {
    await round.run();
  } catch (error) {
    if (options.signal?.aborted === true || !(error instanceof RegistryError)) throw error;
    round.note(error.message);
  }
  const { count, problem } = round;
  return { count, ...(problem === undefined ? {} : { problem }) };
}

class Round {
  count = 0;
  problem: string | undefined;
  readonly #options: CopyReferrersOptions;
  readonly #call: { signal?: AbortSignal };
  readonly #copied = new Set<string>();
  /** The source's tags, asked for once; undefined: not known. */
  #tags: Promise<ReadonlySet<string> | undefined> | undefined;
  #tried = 0;
  #bytesLeft = BYTES_MAX;

  constructor(options: CopyReferrersOptions) {
    this.#options = options;
    this.#call = options.signal === undefined ? {} : { signal: options.signal };
  }

  note(problem: string): void {
    this.problem ??= problem.slice(0, 300);
  }

  async run(): Promise<void> {
    const { subject, source } = this.#options;
    let { withApi = true } = this.#options;
    // The subject itself is there already; what claims to refer to it in a circle is listed, not followed.
    const seen = new Set([subject]);
    const subjects = [subject];
    for (const digest of subjects) {
      const hasTag = (tag: string): Promise<boolean> => this.#mayHave(tag);
      const found = await referrersOf(source, digest, { withApi, hasTag, ...this.#call });
      if (found.from !== 'api' && withApi) {
        withApi = false;
        this.#options.onNoApi?.();
      }
      const kept: Descriptor[] = [];
      for (const one of found.descriptors) {
        if (!seen.has(one.digest)) {
          seen.add(one.digest);
          if (await this.#copy(one.digest, one.digest)) {
            this.#copied.add(one.digest);
            subjects.push(one.digest);
          }
        }
        if (this.#copied.has(one.digest)) kept.push(one);
      }
      await this.#writeIndex(digest, kept, kept.length === found.descriptors.length ? found.index?.bytes : undefined);
    }
    for (const tag of cosignTags(subject)) if (await this.#mayHave(tag)) await this.#copyTag(tag);
  }

  /** False only of a tag that the source's own list lacks. */
  async #mayHave(tag: string): Promise<boolean> {
    const { source, witness, onUnlisted, signal } = this.#options;
    if (witness === undefined) return true;
    this.#tags ??= listedTags(source, { witness, onUnlisted, signal });
    return (await this.#tags)?.has(tag) ?? true;
  }

  async #copyTag(tag: string): Promise<void> {
    try {
      const { digest } = await this.#options.source.headManifest(tag, this.#call);
      await this.#copy(digest, tag);
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code !== 'not-found') throw error;
    }
  }

  async #copy(digest: string, targetTag: string): Promise<boolean> {
    const { source, target } = this.#options;
    this.#tried += 1;
    if (this.#tried > REFERRERS_MAX) {
      this.note(`more than ${REFERRERS_MAX} things refer to the image: the rest stays upstream`);
      return false;
    }
    try {
      const maxBytes = this.#bytesLeft;
      const { bytes } = await copyImage({ source, reference: digest, target, targetTag, maxBytes, ...this.#call });
      this.#bytesLeft -= bytes;
      this.count += 1;
      return true;
    } catch (error) {
      if (!(error instanceof RegistryError) || !OF_ONE.includes(error.code)) throw error;
      this.note(error.message);
      return false;
    }
  }

  /** The source's own bytes when the target has all of it. What is listed there already stays when nothing is listed any more. */
  async #writeIndex(subject: string, kept: readonly Descriptor[], exact: Buffer | undefined): Promise<void> {
    if (kept.length === 0) return;
    await this.#options.target.putManifest(referrersTag(subject), exact ?? referrersIndex(kept), INDEX, this.#call);
  }
}
