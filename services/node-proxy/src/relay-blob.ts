import { RegistryError, resuming, type BlobSource, type OpenBlob, type RepositoryClient } from '@kuik/registry';
import type { BlobTrust } from './blob-trust.ts';
import type { AskedRange } from './byte-range.ts';
import { satisfy } from './byte-range.ts';
import { CacheDown, type CacheAccess, CacheMiss } from './cache-access.ts';
import type { ClientStream } from './client-stream.ts';
import { failureOf, PullFailure, UpstreamFailure } from './failure.ts';
import { look } from './look.ts';
import type { Repository } from './pull-path.ts';
import { NOTHING_SEEN, type Step, mayRun, route } from './route.ts';
import type { UpstreamAccess } from './upstream-access.ts';

export interface BlobRequest {
  readonly repositories: readonly Repository[];
  readonly digest: string;
  readonly range: AskedRange | undefined;
  readonly requestId: string;
}

/** One that is looked for has no range. */
type BlobOfRequest = Omit<BlobRequest, 'range'> & Partial<Pick<BlobRequest, 'range'>>;

/** What is known when the first byte is there: what the head of the answer says. */
export interface BlobHead {
  readonly step: Step;
  readonly totalSize: number;
  readonly first: number;
  readonly length: number;
  readonly partial: boolean;
}

export interface BlobRelayOptions {
  readonly cache: CacheAccess;
  readonly upstream: UpstreamAccess;
  readonly trust: BlobTrust;
  /** A body goes on from another place, or from the same one again. */
  readonly onResume: (from: string, to: string) => void;
}

/**
 * Serves blobs: cache first, else upstream; goes on at the byte reached when either breaks in mid-body. What comes from upstream from
 * the first byte on is hashed, over all its pieces, and its last chunk held back until the digest agrees. The cache's own bytes were
 * verified when they were stored; those that are doubted all the same (`blob-trust.ts`) are hashed as well.
 */
export class BlobRelay {
  readonly #options: BlobRelayOptions;
  /** Of what was asked for before: the meanings of a request's name are the same object each time. */
  readonly #plans = new WeakMap<readonly Repository[], { readonly digest: string; readonly steps: readonly Step[] }>();

  constructor(options: BlobRelayOptions) {
    this.#options = options;
  }

  /** The size of a blob and where it is. Throws PullFailure. */
  async head(request: Omit<BlobRequest, 'range'>): Promise<{ size: number; step: Step }> {
    const read = async (client: RepositoryClient): Promise<number> => {
      const found = await client.headBlob(request.digest);
      if (found === undefined)
        throw new RegistryError('not-found', `${client.host}/${client.repository} has no such blob`);
      return found.size;
    };
    const { source, answer } = await this.#firstOf(this.#sources(request), ({ step }) =>
      this.#ask(step, request, read),
    );
    return { size: answer, step: source.step };
  }

  /**
   * Delivers the blob to the client. `begin` is called once, before the first byte; then the body is complete, or broken off. Throws
   * PullFailure while nothing was sent, ClientGone when the client left, RegistryError for a body that was broken off.
   */
  async deliver(request: BlobRequest, client: ClientStream, begin: (head: BlobHead) => void): Promise<void> {
    const { signal } = client;
    const { digest, range: asked } = request;
    const range = asked !== undefined && 'suffix' in asked ? await this.#absolute(asked, request) : asked;
    const span = { offset: range?.first ?? 0, ...(range?.last === undefined ? {} : { end: range.last }) };
    const sources = this.#sources(request);
    const { source, answer } = await this.#opened(sources, { ...span, signal }, request);
    const { trust, cache } = this.#options;
    const fromCache = source.step.from === 'cache';
    const doubted = fromCache && trust.of(digest) === 'doubted';
    const hashed = doubted || !fromCache;
    // Bytes of two places say nothing of either.
    let mixed = false;
    const blob = resuming(
      {
        // A place that is in the plan once more is asked once a round.
        sources: sources.filter((other) => other === source || other.step.lastResort !== true),
        digest,
        ...span,
        verify: hashed,
        signal,
        onSwitch: ({ from, next, error, inBody }) => {
          this.#options.onResume(from.name, next.name);
          // What did not open was counted when it was asked.
          if (from.name === 'cache' && inBody && !this.#foundWrong(error, source, digest)) cache.broke(error);
          mixed = true;
        },
      },
      { source, blob: answer },
    );
    const head = headOf(blob, source.step, range !== undefined);
    let begun = false;
    const start = (): void => {
      if (!begun) begin(head);
      begun = true;
    };
    const told = doubted ? trust.hashing(digest) : undefined;
    try {
      await blob.deliver((chunk) => {
        start();
        return client.write(chunk);
      }, signal);
    } catch (error) {
      if (fromCache && !mixed && this.#foundWrong(error, source, digest) && begun)
        throw new PullFailure('cacheDamaged', `the cache registry holds other bytes as ${digest}`, { cause: error });
      if (begun || !(error instanceof RegistryError) || error.code === 'aborted') throw error;
      throw failureOf(
        [new UpstreamFailure(error.code, error.message, { credentialUsed: false, cause: error })],
        'blob',
      );
    } finally {
      told?.();
    }
    start();
    client.end();
    if (fromCache && !mixed && blob.length === blob.totalSize) trust.delivered(digest, hashed);
  }

  /** Whether the cache's bytes were found to be wrong: they are served to nobody from now on. */
  #foundWrong(error: unknown, { step }: Source, digest: string): boolean {
    if (!(error instanceof RegistryError) || error.code !== 'digest-mismatch') return false;
    this.#options.trust.wrong(digest);
    this.#options.cache.wrong(step.repository, digest);
    return true;
  }

  /** The first place that has the blob, which is open there. Throws PullFailure; of a range beyond its end it tells the size. */
  async #opened(sources: readonly Source[], span: Parameters<Source['ask']>[0], request: BlobRequest) {
    try {
      return await this.#firstOf(sources, (source) => source.ask(span));
    } catch (error) {
      throw isOutside(error) ? outside((await this.head(request)).size) : error;
    }
  }

  /** A range that counts from the end, in absolute bytes: it needs the size first. */
  async #absolute(asked: AskedRange, request: BlobRequest): Promise<{ first: number; last?: number }> {
    const { size } = await this.head(request);
    const range = satisfy(asked, size);
    if (range === 'unsatisfiable') throw outside(size);
    return range;
  }

  /** The first answer of a plan. Throws PullFailure when no place has one. */
  async #firstOf<T>(
    sources: readonly Source[],
    ask: (source: Source) => Promise<T>,
  ): Promise<{ source: Source; answer: T }> {
    let seen = NOTHING_SEEN;
    const failures: unknown[] = [];
    for (const source of sources) {
      if (!mayRun(source.step, seen)) continue;
      try {
        return { source, answer: await ask(source) };
      } catch (error) {
        if (isRangeError(error))
          throw new PullFailure('rangeInvalid', 'the range lies outside the blob', { cause: error });
        seen = look(seen, error, source.step);
        failures.push(error);
      }
    }
    throw failureOf(failures, 'blob');
  }

  /** The plan of a digest, which needs no state. */
  #sources(request: BlobOfRequest): Source[] {
    const { repositories, digest } = request;
    const known = this.#plans.get(repositories);
    const steps = known?.digest === digest ? known.steps : route({ repositories, reference: { digest } }, [], 0);
    if (steps !== known?.steps) this.#plans.set(repositories, { digest, steps });
    const right = this.#options.trust.of(digest) === 'wrong' ? steps.filter(({ from }) => from !== 'cache') : steps;
    return right.map((step) => this.#source(step, request));
  }

  #source(step: Step, { digest, requestId, range }: BlobOfRequest): Source {
    const ask: Source['ask'] = ({ offset, end, signal }) =>
      this.#ask(step, { digest, requestId }, (client) =>
        client.openBlob(digest, {
          offset,
          verify: false,
          ...(range === undefined ? {} : { pieces: true }),
          // A copier looks in the cache for what landed there a moment ago.
          ...(this.#options.trust.of(digest) === 'wrong' ? { alone: true } : {}),
          ...(end === undefined ? {} : { end }),
          ...(signal === undefined ? {} : { signal }),
        }),
      );
    const open: BlobSource['open'] = (at) =>
      ask(at).catch((error: unknown) => {
        throw asRegistryError(error);
      });
    return { name: step.from, step, ask, open };
  }

  #ask<T>(
    step: Step,
    request: { digest: string; requestId: string },
    work: (client: RepositoryClient) => Promise<T>,
  ): Promise<T> {
    if (step.from === 'cache') {
      const { digest, requestId } = request;
      return this.#options.cache.ask(step.repository, digest, work, { requestId, insist: step.lastResort });
    }
    return this.#options.upstream.ask(step.repository, request.requestId, work);
  }
}

/** One place of the plan. `ask` throws what the proxy decides by, `open` what reading on is decided by. */
interface Source extends BlobSource {
  readonly step: Step;
  readonly ask: BlobSource['open'];
}

function headOf(blob: OpenBlob, step: Step, ranged: boolean): BlobHead {
  return { step, totalSize: blob.totalSize, first: blob.offset, length: blob.length, partial: ranged };
}

/** What a body that was begun needs to know: whether this place may answer later. */
function asRegistryError(error: unknown): unknown {
  if (error instanceof CacheMiss) return new RegistryError('not-found', error.message);
  if (error instanceof CacheDown) return new RegistryError('refused', error.message, { cause: error });
  if (error instanceof UpstreamFailure) return new RegistryError(error.code, error.message, { cause: error });
  return error;
}

/** The client is told the size (RFC 9110 §15.5.17), so that it can ask again. */
function outside(size: number): PullFailure {
  return new PullFailure('rangeInvalid', `the blob has ${size} bytes`, { totalSize: size });
}

function isOutside(error: unknown): boolean {
  return error instanceof PullFailure && error.failure === 'rangeInvalid';
}

function isRangeError(error: unknown): boolean {
  if (error instanceof RegistryError) return error.code === 'range-not-satisfiable';
  return error instanceof UpstreamFailure && error.code === 'range-not-satisfiable';
}
