import { wait } from '@kuik/runtime';
import { DigestGate, RegistryError, type OpenBlob, type RepositoryClient } from '@kuik/registry';
import type { AskedRange } from './byte-range.ts';
import { satisfy } from './byte-range.ts';
import { CacheDown, type CacheAccess, CacheMiss } from './cache-access.ts';
import { ClientGone, type ClientStream } from './client-stream.ts';
import { failureOf, isNoSuchImage, PullFailure, UpstreamFailure } from './failure.ts';
import type { Repository } from './pull-path.ts';
import { mayRun, route, type Seen, type Step } from './route.ts';
import type { UpstreamAccess } from './upstream-access.ts';

/** Failures in a row without a single byte after which a body that was begun is given up. */
const FRUITLESS_MAX = 6;
const BACKOFF_MS = 50;

export interface BlobRequest {
  readonly repositories: readonly Repository[];
  readonly digest: string;
  readonly range: AskedRange | undefined;
  readonly requestId: string;
}

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
  /** A body goes on from another place, or from the same one again. */
  readonly onResume: (from: string, to: string) => void;
}

/**
 * Serves blobs: cache first, else upstream; goes on at the byte reached when either breaks in mid-body. What comes from upstream from
 * the first byte on is hashed, over all its pieces, and its last chunk held back until the digest agrees. The cache's own bytes were
 * verified when they were stored.
 */
export class BlobRelay {
  readonly #options: BlobRelayOptions;

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
    return this.#firstOf(request, async (step) => ({ size: await this.#ask(step, request, read), step }));
  }

  /**
   * Delivers the blob to the client. `begin` is called once, before the first byte; then the body is complete, or broken off. Throws
   * PullFailure while nothing was sent, ClientGone when the client left, UpstreamFailure or CacheDown for a body that was broken off.
   */
  async deliver(request: BlobRequest, client: ClientStream, begin: (head: BlobHead) => void): Promise<void> {
    const range = request.range === undefined ? undefined : await this.#absolute(request.range, request);
    const transfer = new Transfer(request.digest, range, client, begin);
    const steps = route({ repositories: request.repositories, reference: { digest: request.digest } }, [], 0);
    const work = (step: Step) => (repository: RepositoryClient) => transfer.run(repository, step);
    const first = await this.#firstOf(request, async (step) => {
      try {
        await this.#ask(step, request, work(step));
        return { step, error: undefined };
      } catch (error) {
        // Once the answer has begun there is no other answer: from here on the body is continued.
        if (!transfer.begun) throw error;
        return { step, error: asError(error) };
      }
    });
    await this.#resume(first, steps, transfer, (step) => this.#ask(step, request, work(step)), client);
    if (!transfer.begun) throw new PullFailure('internal', 'the blob was delivered without a head');
    client.end();
  }

  async #resume(
    broken: { step: Step; error: Error | undefined },
    steps: readonly Step[],
    transfer: Transfer,
    ask: (step: Step) => Promise<void>,
    client: ClientStream,
  ): Promise<void> {
    let { step, error } = broken;
    let fruitless = 0;
    while (error !== undefined) {
      const resumable =
        error instanceof CacheDown || (error instanceof UpstreamFailure && error.code !== 'digest-mismatch');
      const miss = error instanceof CacheMiss;
      if (!resumable && !miss) throw error;
      fruitless = transfer.takeProgress() ? 0 : fruitless + 1;
      if (fruitless >= FRUITLESS_MAX) throw error;
      if (fruitless > 1) await wait(BACKOFF_MS * 2 ** fruitless, client.signal);
      if (client.signal.aborted) throw new ClientGone();
      const next = steps[(steps.indexOf(step) + 1) % steps.length]!;
      this.#options.onResume(step.from, next.from);
      step = next;
      try {
        await ask(step);
        return;
      } catch (again) {
        error = asError(again);
      }
    }
  }

  /** A range in absolute bytes: what counts from the end needs the size first. */
  async #absolute(asked: AskedRange, request: BlobRequest): Promise<{ first: number; last?: number }> {
    if (!('suffix' in asked)) return asked;
    const { size } = await this.head(request);
    const range = satisfy(asked, size);
    if (range === 'unsatisfiable') throw new PullFailure('rangeInvalid', `the blob has ${size} bytes`);
    return range;
  }

  async #firstOf<T>(request: Omit<BlobRequest, 'range'>, ask: (step: Step) => Promise<T>): Promise<T> {
    const { repositories, digest } = request;
    let seen: Seen = { cacheDown: false, upstreamSilent: false, noSuchImage: false };
    const failures: unknown[] = [];
    for (const step of route({ repositories, reference: { digest } }, [], 0)) {
      if (!mayRun(step, seen)) continue;
      try {
        return await ask(step);
      } catch (error) {
        if (isRangeError(error))
          throw new PullFailure('rangeInvalid', 'the range lies outside the blob', { cause: error });
        if (!(error instanceof CacheMiss || error instanceof CacheDown || error instanceof UpstreamFailure))
          throw error;
        if (error instanceof UpstreamFailure) seen = { ...seen, noSuchImage: isNoSuchImage(error) };
        failures.push(error);
      }
    }
    throw failureOf(failures, 'blob');
  }

  #ask<T>(
    step: Step,
    request: { digest: string; requestId: string },
    work: (client: RepositoryClient) => Promise<T>,
  ): Promise<T> {
    if (step.from === 'cache') return this.#options.cache.ask(step.repository, request.digest, work, request.requestId);
    return this.#options.upstream.ask(step.repository, request.requestId, work);
  }
}

/** One body on its way to one client, over however many pieces. */
class Transfer {
  readonly #digest: string;
  readonly #range: { first: number; last?: number } | undefined;
  readonly #client: ClientStream;
  readonly #begin: (head: BlobHead) => void;
  #head: BlobHead | undefined;
  #gate: DigestGate | undefined;
  /** Body bytes handed to the client. */
  #sent = 0;
  #sentBefore = 0;

  constructor(
    digest: string,
    range: { first: number; last?: number } | undefined,
    client: ClientStream,
    begin: (head: BlobHead) => void,
  ) {
    this.#digest = digest;
    this.#range = range;
    this.#client = client;
    this.#begin = begin;
  }

  get begun(): boolean {
    return this.#head !== undefined;
  }

  /** Whether a byte was sent since the last time this was asked. */
  takeProgress(): boolean {
    const progress = this.#sent > this.#sentBefore;
    this.#sentBefore = this.#sent;
    return progress;
  }

  /** Reads from one place, from where the last one stopped, to the end. */
  async run(repository: RepositoryClient, step: Step): Promise<void> {
    const offset = (this.#range?.first ?? 0) + this.#sent;
    const { signal } = this.#client;
    const end = this.#range?.last;
    const blob = await repository.openBlob(this.#digest, {
      offset,
      verify: false,
      signal,
      ...(end === undefined ? {} : { end }),
    });
    const head = this.#head ?? headOf(blob, step, this.#range !== undefined);
    if (blob.totalSize !== head.totalSize || blob.length !== head.length - this.#sent) {
      blob.cancel();
      throw new RegistryError('invalid-response', `${step.from} has another size for ${this.#digest}`);
    }
    // What the cache began is not hashed: its first part is not at hand any more.
    const whole = !head.partial && this.#sent === 0 && this.#head === undefined;
    if (step.from === 'upstream' && whole) this.#gate = new DigestGate(this.#digest, head.totalSize);
    const start = (): void => {
      if (this.#head !== undefined) return;
      this.#head = head;
      this.#begin(head);
    };
    await blob.deliver((chunk) => {
      this.#gate?.pass(chunk, this.#sent);
      start();
      const written = this.#client.write(chunk);
      if (written === undefined) {
        this.#sent += chunk.length;
        return undefined;
      }
      return written.then(() => void (this.#sent += chunk.length));
    }, signal);
    start();
  }
}

function headOf(blob: OpenBlob, step: Step, ranged: boolean): BlobHead {
  return { step, totalSize: blob.totalSize, first: blob.offset, length: blob.length, partial: ranged };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}

function isRangeError(error: unknown): boolean {
  if (error instanceof RegistryError) return error.code === 'range-not-satisfiable';
  return error instanceof UpstreamFailure && error.code === 'range-not-satisfiable';
}
