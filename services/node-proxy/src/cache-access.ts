import { toCacheRepository } from '@kuik/image';
import {
  type Breaker,
  RegistryError,
  type CacheEndpoint,
  type RegistryAccess,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import { FewAtOnce } from '@kuik/runtime';
import type { Repository } from './pull-path.ts';

/** The cache registry could not be asked: away, too slow, spared, or it refuses our key. Everything falls through to upstream. */
export class CacheDown extends Error {
  /** It was not even tried. */
  readonly spared: boolean;

  constructor(why: string, details: { cause?: unknown; spared?: boolean } = {}) {
    super(`the cache registry cannot be asked: ${why}`, { cause: details.cause });
    this.name = 'CacheDown';
    this.spared = details.spared ?? false;
  }
}

/** The cache registry answered that it does not have it; or what it has is not what its digest says, which is no better. */
export class CacheMiss extends Error {
  constructor(what: string) {
    super(`the cache does not have ${what}`);
    this.name = 'CacheMiss';
  }
}

export interface CacheAsk {
  /** Of the client's request: it goes on to the cache's log. */
  readonly requestId?: string | undefined;
  /** Also while the cache is being spared. */
  readonly insist?: boolean | undefined;
}

export interface CacheAccessOptions {
  readonly registry: Pick<RegistryAccess, 'cache'>;
  readonly endpoint: CacheEndpoint;
  readonly breaker: Breaker;
  /** Told of each failure, for log and metric. */
  readonly onDown?: (error: CacheDown) => void;
  /** Told of each thing that the cache does not have. */
  readonly onMiss?: (repository: Repository, what: string) => void;
  /** Told of each thing whose bytes in the cache are not what its digest says. */
  readonly onWrong?: (repository: Repository, what: string) => void;
}

/** Questions under way; a body is none any more once its head is there. */
const ASKED_AT_ONCE = 16;

/** What the cache registry says (or fails to say) when it serves nobody. */
const AWAY: ReadonlySet<RegistryErrorCode> = new Set([
  'refused',
  'timeout',
  'dns',
  'tls',
  'truncated',
  'server-error',
  'rate-limited',
  'unauthorized',
  'forbidden',
]);

/** Every call to the cache registry: told apart in "does not have it" and "cannot be asked", the latter spared by a breaker. */
export class CacheAccess {
  readonly #options: CacheAccessOptions;
  readonly #turns = new FewAtOnce(ASKED_AT_ONCE);
  /** What repositories are called there: those of a pull are the same objects whenever it is asked for again. */
  readonly #names = new WeakMap<Repository, string>();
  /** How often it failed. */
  #failures = 0;

  constructor(options: CacheAccessOptions) {
    this.#options = options;
  }

  /**
   * Runs `work` on the cache's copy of an upstream repository. Throws CacheMiss or CacheDown; an abort and an unsatisfiable range
   * pass as they are. Who finds the cache spared waits for no turn; and no turn is taken by who saw it fail, and be spared, while waiting for one.
   */
  async ask<T>(
    repository: Repository,
    what: string,
    work: (client: RepositoryClient) => Promise<T>,
    { requestId, insist = false }: CacheAsk = {},
  ): Promise<T> {
    const { registry, endpoint, breaker } = this.#options;
    const name = this.#nameOf(repository);
    if (name === undefined) throw new CacheMiss(what);
    if (!breaker.admit() && !insist) throw spared();
    const failures = this.#failures;
    const turn = this.#turns.enter();
    if (turn !== undefined) await turn;
    try {
      if (this.#failures > failures && breaker.open) throw spared();
      const answer = await work(registry.cache(endpoint, name, { requestId }));
      breaker.succeeded();
      return answer;
    } catch (error) {
      throw this.#meaning(error, repository, what);
    } finally {
      this.#turns.leave();
    }
  }

  #nameOf(repository: Repository): string | undefined {
    const known = this.#names.get(repository);
    if (known !== undefined) return known;
    const name = toCacheRepository(repository);
    if (name !== undefined) this.#names.set(repository, name);
    return name;
  }

  /** What a question's error says of the cache. */
  #meaning(error: unknown, repository: Repository, what: string): unknown {
    if (!(error instanceof RegistryError) || error.code === 'aborted') return error;
    if (error.code === 'digest-mismatch') {
      this.wrong(repository, what);
      return new CacheMiss(what);
    }
    if (error.code !== 'not-found' && error.code !== 'range-not-satisfiable') return this.broke(error);
    this.#options.breaker.succeeded();
    if (error.code !== 'not-found') return error;
    this.#options.onMiss?.(repository, what);
    return new CacheMiss(what);
  }

  /** Tells of wrong bytes; they say nothing of what else the cache has. `what`: as it was asked for. */
  wrong(repository: Repository, what: string): void {
    this.#options.breaker.succeeded();
    this.#options.onWrong?.(repository, what);
  }

  /** Counts a failure of the cache, one in mid-body too; gives it as what it is to the proxy. */
  broke(error: RegistryError): CacheDown {
    const { breaker, onDown } = this.#options;
    // One damaged object says nothing about the others: only a cache that does not serve at all is spared.
    if (AWAY.has(error.code)) {
      this.#failures += 1;
      breaker.failed();
    } else breaker.succeeded();
    const down = new CacheDown(error.message, { cause: error });
    onDown?.(down);
    return down;
  }
}

function spared(): CacheDown {
  return new CacheDown('it failed a moment ago and is being spared', { spared: true });
}
