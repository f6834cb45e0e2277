import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { COPY_QUEUE, DEFAULTS, FIXED } from '@kuik/contracts';
import type { BlobTurn, BlobTurns, BlobTurnsOptions, QueueLog, TurnHolders } from './port.ts';
import { RememberedPlaces } from './remembered-places.ts';
import { TurnsInProcess } from './turns-in-process.ts';

/** What everybody shares. No method throws; undefined means that the store cannot be asked now. */
export interface TurnStore {
  /**
   * Repositories that are known (none of `except`), else the turn if it is free or still that of `dead`, a token whose holder is gone; else
   * whose it is. Of several who found the same one dead, one gets its turn.
   */
  claim(key: string, token: string, except: readonly string[], dead?: string): Promise<Claim | undefined>;
  /** Keeps the turn, also one that ran out and that nobody took; false: it is somebody else's. */
  renew(key: string, token: string): Promise<boolean | undefined>;
  /** Ends the turn if it is still this token's, and remembers where the blob landed in any case. */
  release(key: string, token: string, landedIn: string | undefined): Promise<void>;
  remember(key: string, repository: string): Promise<void>;
  close(): Promise<void>;
}

export type Claim = { do: 'look'; in: string[] } | { do: 'bring' } | { do: 'wait'; for: string };

/** About 3 MiB when full. */
const KEYS_IN_MEMORY = 10_000;
const POLL_MIN_MS = 50;
const POLL_MAX_MS = 500;

type Turn = Extract<BlobTurn, { do: 'bring' }>;

/** Turns over a store: first within this process, then among all. */
export class TurnsOver implements BlobTurns {
  readonly #store: TurnStore;
  readonly #lockMs: number;
  readonly #waitMs: number;
  readonly #holders: TurnHolders | undefined;
  readonly #log: QueueLog | undefined;
  readonly #places = new RememberedPlaces(KEYS_IN_MEMORY);
  readonly #here = new TurnsInProcess();

  constructor(store: TurnStore, options: BlobTurnsOptions & { log?: QueueLog | undefined }) {
    this.#store = store;
    this.#lockMs = options.lockMs ?? COPY_QUEUE.lockMs;
    this.#waitMs = options.waitMs ?? DEFAULTS.copy.turnWaitMs;
    this.#holders = options.holders;
    this.#log = options.log;
  }

  of(host: string): ReturnType<BlobTurns['of']> {
    return {
      take: (digest, { size, except, signal }) => this.#take(`${host}:${digest}`, isSmall(size), except, signal),
      landed: (digest, repository, size) => {
        const key = `${host}:${digest}`;
        this.#places.add(key, repository);
        if (!isSmall(size)) void this.#store.remember(key, repository);
      },
    };
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  async #take(key: string, small: boolean, except: readonly string[], signal: AbortSignal): Promise<BlobTurn> {
    const deadlineMs = performance.now() + this.#waitMs;
    for (;;) {
      signal.throwIfAborted();
      const known = this.#places.find(key, except);
      if (known.length > 0) return { do: 'look', in: known };
      if (this.#here.begin(key)) break;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0) return this.#turn(key, (landedIn) => this.#remember(key, landedIn));
      await this.#here.ended(key, leftMs, signal);
    }
    if (small) return this.#turn(key, () => Promise.resolve(this.#here.end(key)));
    try {
      const turn = await this.#takeAmongAll(key, except, signal, deadlineMs);
      if (turn.do === 'look') this.#here.end(key);
      return turn;
    } catch (error) {
      this.#here.end(key);
      throw error;
    }
  }

  async #takeAmongAll(
    key: string,
    except: readonly string[],
    signal: AbortSignal,
    deadlineMs: number,
  ): Promise<BlobTurn> {
    const token = this.#token();
    let dead: string | undefined;
    for (let polls = 0; ; polls += 1) {
      const claim = await this.#store.claim(key, token, except, dead);
      if (claim?.do === 'look') return claim;
      if (claim?.do === 'bring') return this.#heldTurn(key, token);
      if (claim === undefined || performance.now() >= deadlineMs) {
        return this.#turn(key, async (landedIn) => {
          this.#here.end(key);
          await this.#remember(key, landedIn);
        });
      }
      dead = (await this.#gone(claim.for)) ? claim.for : undefined;
      if (dead === undefined) await sleep(pollMs(polls), undefined, { signal });
      else this.#log?.debug('turn of a process that is gone', { blob: key });
    }
  }

  /** A turn's token: whose it is, and which of his. */
  #token(): string {
    return this.#holders === undefined ? randomUUID() : `${this.#holders.name()} ${randomUUID()}`;
  }

  /** Whether nobody is left who could end this turn. One of our own is over here, or nobody here would ask for it: its end was lost on the way. */
  async #gone(token: string): Promise<boolean> {
    const [holder, which] = token.split(' ');
    if (this.#holders === undefined || which === undefined) return false;
    return holder === this.#holders.name() || !(await this.#holders.alive(holder!));
  }

  /**
   * A turn that is renewed until it ends. Who lost it (frozen, or cut off from Redis, for longer than the lock) still finishes: what it
   * writes is right whoever else writes it. The token only keeps it from ending the turn of another.
   */
  #heldTurn(key: string, token: string): Turn {
    const beat = setInterval(() => {
      void this.#store.renew(key, token).then((ours) => {
        if (ours !== false) return;
        clearInterval(beat);
        this.#log?.debug('turn to bring a blob lost', { blob: key });
      });
    }, this.#lockMs / 3).unref();
    return this.#turn(key, async (landedIn) => {
      clearInterval(beat);
      this.#here.end(key);
      await this.#store.release(key, token, landedIn);
    });
  }

  #turn(key: string, finish: (landedIn: string | undefined) => Promise<void>): Turn {
    let ended: Promise<void> | undefined;
    return {
      do: 'bring',
      end: (landedIn) => {
        if (ended !== undefined) return ended;
        if (landedIn !== undefined) this.#places.add(key, landedIn);
        ended = finish(landedIn);
        return ended;
      },
    };
  }

  async #remember(key: string, landedIn: string | undefined): Promise<void> {
    if (landedIn !== undefined) await this.#store.remember(key, landedIn);
  }
}

function isSmall(size = Infinity): boolean {
  return size <= FIXED.smallBlobBytes;
}

/** Doubling from 50 ms to half a second, with jitter. */
function pollMs(polls: number): number {
  return Math.min(POLL_MAX_MS, POLL_MIN_MS * 2 ** Math.min(polls, 10)) * (0.5 + Math.random() / 2);
}
