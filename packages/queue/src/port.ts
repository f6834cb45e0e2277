import type { JobQueue } from '@kuik/contracts';

/** What the queue needs of a logger; the one of @kuik/runtime fits. */
export interface QueueLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/**
 * How a job left its worker. `held`: its pace key has all the slots that it may have; `interrupted`: given back at the drain deadline;
 * `lost`: the lock went to another worker; `invalid`: the payload does not fit the queue's schema.
 */
export type JobEnd = 'done' | 'parked' | 'failed' | 'invalid' | 'held' | 'interrupted' | 'lost';

/** What was wanted of Redis while it was away. */
export type Missed =
  'enqueue' | 'counts' | 'take' | 'park' | 'parkedUntil' | 'quota' | 'times' | 'turns' | 'transfers' | 'once';

/** Where producers, workers, pacers and time stores report to; all optional. */
export interface QueueReports {
  readonly log?: QueueLog;
  /** A job left this worker; `seconds` is the time its work took (0 for `held` and `invalid`). */
  readonly ended?: (end: JobEnd, seconds: number) => void;
  /** Redis could not be asked in time. */
  readonly missed?: (what: Missed) => void;
}

export interface JobProgress {
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly step: string;
}

export interface Job<T> {
  readonly id: string;
  readonly payload: T;
  /** Aborted when the worker drains past its deadline, or when Redis says that the job's lock is lost (not while it is away). */
  readonly signal: AbortSignal;
  /** Another worker had it before, and fell silent or gave it back in the middle: part of the work may be done. */
  readonly takenOver: boolean;
  /** Recorded for people to see, at most twice a second; never waits for Redis, never throws. */
  progress(progress: JobProgress): Promise<void>;
}

/** What became of a job. `park` puts it back after `afterMs` without spending an attempt. */
export type Outcome = { do: 'done' } | { do: 'park'; afterMs: number; reason: string } | { do: 'fail'; reason: string };

/**
 * The work itself. A thrown error is `fail` with its message; thrown after the signal was aborted, it means that the job was not done:
 * it goes back to the queue (drain), or is already another worker's (lock lost).
 */
export type Work<T> = (job: Job<T>) => Promise<Outcome>;

/** Nothing that ended stays in the queue: a failure is told by log and metric, and its intent is derived again. */
export interface JobCounts {
  waiting: number;
  active: number;
  delayed: number;
}

/** The side that raises intents (pod-watcher). */
export interface Producer<T> {
  /**
   * Adds the job unless one with the same deduplication id is waiting; one raised while the job is active runs after it.
   * Bounded by `timeoutMs` (default 2 s): returns false when Redis is away, never hangs (a job whose acknowledgement came too late
   * may still be in the queue). Throws QueueError `invalid-payload`.
   */
  enqueue(payload: T, options?: { delayMs?: number; timeoutMs?: number }): Promise<boolean>;
  /** Throws QueueError `unavailable` after `timeoutMs` (default 2 s). */
  counts(options?: { timeoutMs?: number }): Promise<JobCounts>;
  /** Tells whenever Redis is there again after it was away: what was enqueued before may be lost. */
  onReturn(listener: () => void): void;
  close(): Promise<void>;
}

/** The side that works. */
export interface Worker {
  /**
   * Stops taking jobs, lets running ones finish until `deadlineMs`, then aborts the rest, which go back to the queue at once when their
   * work ends within 2 s, and otherwise when their lock ends. Idempotent; never longer than the deadline and about 4 s.
   */
  close(deadlineMs: number): Promise<void>;
  active(): number;
  /** Whether jobs can be taken now: connected, and not closing. */
  ready(): boolean;
}

export interface WorkerOptions {
  /** How many jobs at once. No pace key (registry host) may hold more than half of them, rounded up. */
  readonly concurrency: number;
  /** How long a worker may be silent before another takes its job. Default: the queue's (lock 10 s, stall check 5 s). */
  readonly lockMs?: number;
  readonly stallCheckMs?: number;
}

export interface Pace {
  /** Tokens that come back per second. */
  readonly perSecond: number;
  /** Tokens at most; also what a host that was not called for long starts with. */
  readonly burst: number;
  /** Work under way at once, over all processes. Absent: no bound. */
  readonly concurrency?: number | undefined;
}

/** One of a host's places for work that is under way, held until it is left; that of a process that died is free after 15 s. */
export interface Place {
  /** Never throws. */
  leave(): Promise<void>;
}

export interface PacerOptions {
  /** For hosts without a pace of their own. Default: `DEFAULTS.pace`. */
  readonly pace?: Pace;
  readonly hosts?: Readonly<Record<string, Pace>>;
}

/** What a registry says of the quota of whoever asked, in its headers. */
export interface QuotaWord {
  /** Whom the registry counts for, as an opaque hash: never a credential, never an address. */
  readonly identity: string;
  readonly limit?: number | undefined;
  readonly remaining?: number | undefined;
  readonly windowSeconds?: number | undefined;
}

/** Whose pace and quota a request is of: with a registry host, whoever shows the same login; without an account, all who show none. */
export interface Payer {
  readonly host: string;
  /** An opaque hash of a login, see `brokeredCredential`. */
  readonly account?: string | undefined;
}

/** What is known of one identity's quota; times in epoch ms. */
export interface KnownQuota {
  readonly limit?: number;
  readonly remaining?: number;
  readonly windowSeconds?: number;
  /** When the registry said so. */
  readonly atMs: number;
  /** Begin of the window, as far as it was seen. */
  readonly sinceMs: number;
  /** Copies or checks have met it. */
  readonly background?: true;
}

/** What everybody together knows of one payer. */
export interface PayerFacts extends Payer {
  /** Epoch ms. */
  readonly parkedUntilMs?: number;
  readonly why?: string;
  readonly quotas: readonly KnownQuota[];
}

/** For work that nobody waits for: the share of a quota (0 to 1) below which it leaves the host alone. */
export interface FloorOptions {
  readonly floor?: number | undefined;
}

/**
 * A token bucket per payer in Redis, and what its host said of its limits, shared by everybody who talks to that host as that payer: what one login has used up
 * holds up neither another nor those who show none.
 */
export interface Pacer {
  /**
   * Takes one token. 0 = go; otherwise how many ms to wait before asking again (a parked payer included). When Redis is away: 0 (fail
   * open, and `missed('take')`), unless this process itself parked the payer. Bounded by 1 s.
   */
  take(payer: Payer, options?: FloorOptions): Promise<number>;
  /**
   * Waits for a place among the work that may be under way at once with this host (`Pace.concurrency`), whoever pays: it is the host that is spared. There is always one when that is not bounded, and
   * when Redis is away. Throws the signal's reason.
   */
  place(host: string, signal: AbortSignal): Promise<Place>;
  /** Nobody may call the host as this payer before `untilMs` (epoch ms). Keeps the later of two. Never throws; known at least to this process. */
  park(payer: Payer, untilMs: number, reason: string): Promise<void>;
  /** The host limited this payer, who is parked, see `parkLengthMs`. Returns for how many ms. Never throws; known at least to this process. */
  limited(
    payer: Payer,
    limit: { readonly retryAfterMs?: number | undefined; readonly reason: string },
  ): Promise<number>;
  /** Epoch ms, undefined when the payer is not parked. */
  parkedUntil(payer: Payer, options?: FloorOptions): Promise<number | undefined>;
  /** The host told of a quota. `background`: a copy or a check met it. Never throws, bounded by 1 s; lost when Redis is away. */
  told(payer: Payer, word: QuotaWord, options?: { readonly background?: boolean }): Promise<void>;
  /** Requests that were made without asking for tokens: pulls wait for nobody, but others shall for them. Never throws. */
  spent(payer: Payer, requests: number): Promise<void>;
  /** Payers that were limited or told of a quota, the last 500. Throws QueueError `unavailable`. */
  facts(): Promise<PayerFacts[]>;
  close(): Promise<void>;
}

/**
 * When something happened last, by kind (`checked`, `pulled`) and id (a CachedImage's uid), in epoch ms. Exact times live here; the
 * resource shows them to the day. Losing them costs nothing else. Every method throws QueueError `unavailable` when Redis does not answer
 * within 2 s: unknown is not never.
 */
export interface TimeStore {
  /** In the order of `ids`; undefined where nothing is known. */
  get(kind: string, ids: readonly string[]): Promise<(number | undefined)[]>;
  /** Writes as it is told, also an earlier time. */
  set(kind: string, entries: Iterable<readonly [id: string, atMs: number]>): Promise<void>;
  forget(kind: string, ids: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** The processes that take turns, to each other. */
export interface TurnHolders {
  /** Our own name: of this very process, not of the one that was there before it under the same address. No blanks. */
  readonly name: () => string;
  /** Whether the process of this name is still there. Asked while somebody waits for its turn; never throws. */
  readonly alive: (name: string) => Promise<boolean>;
}

export interface BlobTurnsOptions {
  /** A worker silent for this long loses its turn. Default: the copy queue's lock, 10 s. */
  readonly lockMs?: number;
  /** Who else takes turns: the turn of one that is gone is taken at once. Absent: it is waited for until its lock ends. */
  readonly holders?: TurnHolders | undefined;
  /** Longest wait for a turn of somebody else; then both go on. Default 5 min. */
  readonly waitMs?: number;
  /** How long the places of a blob are remembered after one of them was named last. Default 30 days. */
  readonly rememberMs?: number;
}

/**
 * What copies know of the blobs in the cache registry: which repositories hold one, and who brings one right now, so that a layer is
 * read from its upstream once. All of it is advice. A wrong repository costs a request, and a turn binds nobody: with Redis away, or
 * its owner silent, a copy goes on by itself. A blob's name is its content, so two who bring one write the same bytes.
 */
export interface BlobTurns {
  /** The blobs of one upstream host: what one host let us read proves nothing about another's readers. */
  of(host: string): HostBlobs;
  close(): Promise<void>;
}

export interface HostBlobs {
  /**
   * Where to look for the blob (newest first, none of `except`), or the turn to bring it. While somebody else brings it this waits, at
   * most `waitMs`. Of a blob of up to `FIXED.smallBlobBytes` (`size`, when it is known) this process alone knows: to read it again costs
   * upstream and cache no more than to ask whether it may be shared. Throws only when `signal` aborts.
   */
  take(digest: string, options: { size?: number; except: readonly string[]; signal: AbortSignal }): Promise<BlobTurn>;
  /** The repository holds the blob. Never throws, waits for nobody. */
  landed(digest: string, repository: string, size?: number): void;
}

/** `end` has to be called, with the repository that holds the blob now or without one; it never throws, and counts once. */
export type BlobTurn =
  | { readonly do: 'look'; readonly in: readonly string[] }
  | { readonly do: 'bring'; end(landedIn?: string): Promise<void> };

export interface TransferLeasesOptions {
  /** An owner silent for this long loses its transfer. Default: the copy queue's lock, 10 s. */
  readonly lockMs?: number;
}

/** Whoever owns transfers: its address, and the name of the folder that it reads into, which outlives process and address. */
export interface TransferOwnerName {
  readonly address: string;
  readonly spool: string;
}

/** What a former owner may have left: nothing from byte `upTo` on, as far as it could still tell. */
export interface LeftSpool {
  readonly spool: string;
  readonly upTo: number;
}

/** Who owns a transfer now, and whether its blob came into the cache within the last minute. */
export interface LeaseClaim {
  /** An address. */
  readonly owner: string;
  readonly landed: boolean;
  /** Of those who owned it within the last hour but for the asker, the latest first, three at most. */
  readonly before: readonly LeftSpool[];
}

/**
 * Which process reads a blob from upstream for everybody. Advice, as all of Redis here: no method throws, and undefined means that nobody
 * could be asked.
 */
export interface TransferLeases {
  readonly lockMs: number;
  /** Takes or keeps the lease if it is free, ours or that of `dead` (an address that does not answer); says whose it is. */
  claim(key: string, owner: TransferOwnerName, dead?: string): Promise<LeaseClaim | undefined>;
  /** The owner's spool has come to this byte: told for an hour to who owns the transfer next. */
  reached(key: string, spool: string, upTo: number): Promise<void>;
  /** This spool is to be had at this address; to be said again within `lockMs`. Undefined: it leaves. */
  settle(spool: string, address: string | undefined): Promise<void>;
  /** Where the spool was to be had within the last `lockMs`. */
  whereIs(spool: string): Promise<string | undefined>;
  /** Ends the lease if it is ours. `landed` and `wrong` bytes: nobody needs what owners read before; after wrong ones nothing counts as landed. */
  release(key: string, address: string, end: 'landed' | 'wrong' | 'left'): Promise<void>;
  /** Remembers for an hour how far an upload is, for whoever goes on with it; undefined forgets. */
  note(key: string, text: string | undefined): Promise<void>;
  noted(key: string): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Small content with its type. */
export interface OnceBytes {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** Content that costs something to read: read once by all processes together, remembered for an hour when it is 512 KiB or less. */
export interface ReadOnce {
  /**
   * What `fetch` gave whoever was first; `mine`: that was this call. Waits at most 10 s for somebody else. Throws what `fetch` throws: an
   * error that says `retry` to everybody who waits for it here as the same payer, any other to its caller alone. When Redis is away each process reads
   * by itself.
   */
  read(key: string, payer: Payer, fetch: () => Promise<OnceBytes>): Promise<OnceBytes & { readonly mine: boolean }>;
  close(): Promise<void>;
}

/** Marks contract use in signatures: the queue a producer or worker was made for. */
export type QueueOf<T> = JobQueue<T>;
