import { RegistryError } from './errors.ts';
import type { Descriptor } from './plan.ts';
import type { RepositoryClient, Upload } from './port.ts';

const MOUNTS_MAX = 2;

export interface BlobSearch {
  source: RepositoryClient;
  target: RepositoryClient;
  blob: Descriptor;
  signal: AbortSignal;
}

/**
 * Looks for one blob at the target before it is sent, and keeps the upload session that a mount in vain opened: it is what the upload
 * would begin with. Repositories that do not hold it, or cannot be mounted from, cost a request and nothing else.
 */
export class BlobFinder {
  /** Repositories that were looked in. */
  readonly tried: string[] = [];
  readonly #search: BlobSearch;
  #session: Upload | undefined;
  #mounts = 0;
  #readable: boolean | undefined;

  constructor(search: BlobSearch) {
    this.#search = search;
  }

  /** The first of `repositories` that holds it; it is in the target's repository then. */
  async lookIn(repositories: readonly string[]): Promise<'present' | 'mounted' | undefined> {
    const { target, blob, signal } = this.#search;
    for (const from of repositories) {
      if (this.tried.includes(from)) continue;
      this.tried.push(from);
      if (from === target.repository) {
        if ((await target.headBlob(blob.digest, { signal })) !== undefined) return 'present';
      } else if (this.#mounts < MOUNTS_MAX && (await this.#mayRead())) {
        this.#mounts += 1;
        if (await this.#mount(from)) return 'mounted';
      }
    }
    return undefined;
  }

  /**
   * The target's own repository, when nothing is known of it. A mount from itself answers like a HEAD, and opens the session that is needed
   * otherwise: one request instead of two. A registry that mounts nothing opens one in any case, and is sent the blob again.
   */
  async lookAtTarget(): Promise<'present' | undefined> {
    if (this.#session !== undefined) return undefined;
    return (await this.#mount(this.#search.target.repository)) ? 'present' : undefined;
  }

  /** The session that was opened on the way, handed over: whoever takes it has to finish or abort it. */
  takeSession(): Upload | undefined {
    const session = this.#session;
    this.#session = undefined;
    return session;
  }

  async #mount(from: string): Promise<boolean> {
    const { target, blob, signal } = this.#search;
    try {
      const answer = await target.startUpload({ mount: { digest: blob.digest, from }, signal });
      if (!answer.mounted) {
        // The older one: the registry may be about to forget it.
        await this.#session?.abort();
        this.#session = answer.upload;
      }
      return answer.mounted;
    } catch (error) {
      if (isOfMount(error)) return false;
      throw error;
    }
  }

  /**
   * A digest is not a capability: bytes that the cache holds for others are given only to a repository for which the same registry would
   * hand them out itself.
   */
  async #mayRead(): Promise<boolean> {
    const { source, blob, signal } = this.#search;
    try {
      this.#readable ??= (await source.headBlob(blob.digest, { signal }))?.size === blob.size;
    } catch (error) {
      const stops = !(error instanceof RegistryError) || error.code === 'aborted' || error.code === 'rate-limited';
      if (stops) throw error;
      this.#readable = false;
    }
    return this.#readable;
  }
}

/** Refused for good: this mount is not to be had, the upload may be. */
function isOfMount(error: unknown): boolean {
  return error instanceof RegistryError && !error.retry && error.code !== 'aborted';
}
