import { setTimeout as sleep } from 'node:timers/promises';
import { TRANSFER_ACCESS_HEADER, TRANSFER_PIECES_HEADER } from '@kuik/contracts';
import { repositoryName, toCacheRepository } from '@kuik/image';
import {
  FINAL_WORDS,
  RegistryError,
  type BlobRequest,
  type CacheEndpoint,
  type RegistryAccess,
  type OpenBlob,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import { afterVainRound } from './ask-owners-again.ts';
import { samePlace, type ProcessAt } from './owner-processes.ts';
import type { Owners } from './owners.ts';
import type { Repository } from './pull-path.ts';
import { LeftUnanswered, whileAlive } from './while-alive.ts';

/** What became of a blob that the cache lacks: label `result` of `kuik_proxy_shared_reads_total`. */
export type SharedResult =
  | 'shared'
  | 'refused'
  | 'alone-no-owner'
  | 'alone-cache-wrong'
  | 'alone-owner-away'
  | 'alone-no-room'
  | 'alone-upstream-silent'
  | 'alone-owner-failed';

export interface SharedReadsOptions {
  readonly registry: Pick<RegistryAccess, 'cache'>;
  /** Our key for the cache: copiers take it, too. */
  readonly cache: CacheEndpoint;
  readonly owners: Owners;
  /** How long a copier is waited for to a connection, and in a body. */
  readonly timeouts: { readonly connectMs: number; readonly idleMs: number };
  /** A copier that neither answers nor shows for so long that it lives is left. */
  readonly patienceMs: number;
  /** How long a copier may have to wait for this registry itself, in ms: one that lives is waited for as long. */
  readonly boundMs: (host: string) => number;
  readonly processAt: ProcessAt;
  readonly count: (result: SharedResult) => void;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Asks one copier for the blob. */
type Ask = (url: string, given: Required<Pick<BlobRequest, 'signal' | 'onSentOn'>>) => Promise<OpenBlob>;

/** What a round over the copiers is for. */
interface Wanted {
  readonly host: string;
  /** For who reads a message. */
  readonly what: string;
  /** When the first of all rounds began; monotonic. */
  readonly startedMs: number;
  /** The client has a part of the body already: who did not answer may be back. */
  readonly begun: boolean;
  readonly signal: AbortSignal | undefined;
}

const AWAY: ReadonlySet<RegistryErrorCode> = new Set(['refused', 'timeout', 'dns', 'truncated']);
const NO_ROOM = 'alone-no-room';
/** Answers of a copier that say why it gives nothing: its disk is full, the next one's may not be; upstream does not answer it, now or for a while. */
const WHY_ALONE: Readonly<Record<number, SharedResult>> = { 507: NO_ROOM, 504: 'alone-upstream-silent' };
/** Copiers asked before upstream is asked by ourselves. */
const ASKED_MAX = 2;
/** Between two rounds over them, with jitter. */
const AGAIN_MS = 300;
/** Of one request, over which others decide (`while-alive.ts`). */
const HEADERS_MS = 24 * 3_600_000;

/**
 * Upstream blobs through the copier that reads them for everybody (docs/transfers.md); alone, without storing, when none can be had in
 * time: a pull waits for a copier that shows no sign of life no longer than the patience, and for one that lives as long as upstream may take.
 */
export class SharedReads {
  readonly #options: SharedReadsOptions;
  readonly #endpoints = new Map<string, CacheEndpoint>();

  constructor(options: SharedReadsOptions) {
    this.#options = options;
  }

  /** The same upstream repository; `vouched`: the broker gave this proxy a credential for it. */
  over(client: RepositoryClient, repository: Repository, vouched: boolean, requestId: string): RepositoryClient {
    const name = toCacheRepository(repository);
    if (name === undefined) return client;
    const { owners, count, now } = this.#options;
    const access = { [TRANSFER_ACCESS_HEADER]: vouched ? 'credential' : 'anonymous' };
    return {
      ...client,
      openBlob: async (digest, request = {}) => {
        const headers = request.pieces === true ? { ...access, [TRANSFER_PIECES_HEADER]: '1' } : access;
        const alone = (why: SharedResult): Promise<OpenBlob> => {
          count(why);
          return client.openBlob(digest, request);
        };
        if (request.alone === true) return alone('alone-cache-wrong');
        const begun = (request.offset ?? 0) > 0;
        const startedMs = now();
        for (;;) {
          const urls = owners.order(repository.host, digest, { insist: begun });
          const ask: Ask = (url, given) =>
            this.#options.registry
              .cache(this.#endpoint(url), name, { requestId, headers })
              .openBlob(digest, { ...request, ...given, verify: false });
          const what = `blob ${digest} of ${repositoryName(repository)}`;
          const wanted = { host: repository.host, what, startedMs, begun, signal: request.signal };
          const got = await this.#round(urls, wanted, ask);
          if (typeof got !== 'string') return got;
          const allAway = got === 'alone-no-owner' || got === 'alone-owner-away';
          const next = afterVainRound({ begun, allAway, known: owners.known, sinceMs: now() - startedMs });
          if (next.do === 'again' && (await pause(request.signal))) continue;
          return alone(got);
        }
      },
    };
  }

  /** Asks these copiers one after another: the blob, or why it is to be had alone. Throws what upstream said to one of them. */
  async #round(urls: readonly string[], wanted: Wanted, ask: Ask): Promise<OpenBlob | SharedResult> {
    const { owners, patienceMs, count, now } = this.#options;
    const { host, what, begun } = wanted;
    const gone = new Set<string>();
    let alone: SharedResult = 'alone-no-owner';
    let asked = 0;
    for (const url of urls) {
      if (gone.has(url)) continue;
      if ((asked += 1) > ASKED_MAX) break;
      // There is to be time for one look at whether it lives.
      if (asked > 1 && this.#untilMs(wanted) - now() < patienceMs / 2) break;
      // Where the question is now: a copier sends us on to who owns the transfer.
      let at = url;
      const onSentOn = ({ origin }: URL): void => {
        // Whoever else is asked sends us there as well.
        if (gone.has(origin) || (!begun && owners.spares(origin))) throw new LeftUnanswered('KnownAway');
        at = origin;
      };
      try {
        const blob = await this.#ask(
          wanted,
          () => at,
          (left) => ask(url, { signal: left, onSentOn }),
        );
        count('shared');
        return blob;
      } catch (error) {
        if (error instanceof LeftUnanswered && error.why === 'KnownAway')
          return alone === 'alone-no-owner' ? 'alone-owner-away' : alone;
        if (error instanceof LeftUnanswered && error.why === 'WaitedEnough') {
          // It waits for this registry, and so would the next one.
          for (const one of [url, at]) owners.spare(one, host);
          return 'alone-upstream-silent';
        }
        if (!(error instanceof LeftUnanswered) && !(error instanceof RegistryError)) throw error;
        // Upstream's own words, which a copier passes on.
        if (error instanceof RegistryError && FINAL_WORDS.has(error.code)) {
          if (error.code === 'aborted') throw error;
          count('refused');
          throw upstreamsWord(error, what);
        }
        const away = error instanceof LeftUnanswered || AWAY.has(error.code);
        const why = away ? 'alone-owner-away' : (WHY_ALONE[error.status ?? 0] ?? 'alone-owner-failed');
        // Who has no room answered, whoever else does not.
        if (alone !== NO_ROOM) alone = why;
        if (!away && why !== NO_ROOM) break;
        if (away) owners.spare(at);
        gone.add(at);
      }
    }
    return alone;
  }

  /** Until when copiers are waited for, all together: as long as upstream may take, and one as long as the patience lasts. */
  #untilMs({ host, startedMs }: Wanted): number {
    const { patienceMs, boundMs } = this.#options;
    return startedMs + Math.max(boundMs(host), patienceMs);
  }

  /** One copier's answer. */
  #ask(wanted: Wanted, at: () => string, ask: (signal: AbortSignal) => Promise<OpenBlob>): Promise<OpenBlob> {
    const { patienceMs, processAt, now } = this.#options;
    const { signal } = wanted;
    const same = samePlace(processAt);
    return whileAlive((left) => ask(signal === undefined ? left : AbortSignal.any([signal, left])), {
      patienceMs,
      untilMs: this.#untilMs(wanted),
      lives: () => same(at()),
      now,
    });
  }

  #endpoint(url: string): CacheEndpoint {
    const { cache, owners, timeouts: own } = this.#options;
    const known = this.#endpoints.get(url);
    if (known !== undefined) return known;
    if (this.#endpoints.size > 1_000) this.#endpoints.clear();
    const { signer } = cache;
    const timeouts = { ...own, headersMs: HEADERS_MS };
    const made = { url, trusted: owners.trusted, timeouts, ...(signer === undefined ? {} : { signer }) };
    this.#endpoints.set(url, made);
    return made;
  }
}

/** False when the client left meanwhile. */
function pause(signal: AbortSignal | undefined): Promise<boolean> {
  return sleep(AGAIN_MS * (0.5 + Math.random()), true, signal && { signal }).catch(() => false);
}

/** The copier's address says nothing to who reads the message: the registry refused. */
function upstreamsWord(error: RegistryError, what: string): RegistryError {
  const { code, status, retryAfterMs } = error;
  return new RegistryError(code, `cannot read ${what}: status ${status ?? code}`, {
    cause: error,
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}
