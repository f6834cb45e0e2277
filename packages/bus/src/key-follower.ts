import { backoff, pause } from './pause.ts';
import type { Entry, KeyFollower, Stoppable } from './port.ts';

/** What a message on a key's subject said: the value that was written (undefined: the key was deleted). Only a hint. */
export interface Hint<T> {
  readonly value: T | undefined;
}

/** Where a follower reads from. */
export interface FollowSource<T> {
  read(key: string): Promise<Entry<T> | undefined>;
  watch(key: string, onHint: (hint: Hint<T>) => void): Stoppable;
  /** Called after every (re)connect. */
  onConnected(listener: () => void): Stoppable;
}

/** The hint travels beside the write and may arrive first: read again after these times until both agree, then believe the read. */
const SETTLE_MS = [5, 25, 100, 400] as const;

/** Keys that are read at once after a reconnect. */
const SWEEP = 16;

interface Followed<T> {
  readonly watch: Stoppable;
  readonly ending: AbortController;
  reading: Promise<void> | undefined;
  /** Read once more when the running read is done. */
  again: boolean;
  hint: Hint<T> | undefined;
  /** What the listener was told last; undefined before the first time. */
  told: string | undefined;
}

/** Follows keys: hints make it read, reads make it tell. One read per key at a time; hints in between make one more. */
export class HintFollower<T> implements KeyFollower {
  readonly #source: FollowSource<T>;
  readonly #onChange: (key: string, entry: Entry<T> | undefined) => void;
  readonly #keys = new Map<string, Followed<T>>();
  readonly #connected: Stoppable;
  #stopped = false;
  #sweeps = 0;

  constructor(source: FollowSource<T>, onChange: (key: string, entry: Entry<T> | undefined) => void) {
    this.#source = source;
    this.#onChange = onChange;
    this.#connected = source.onConnected(() => void this.#sweep());
  }

  add(key: string): void {
    if (this.#stopped || this.#keys.has(key)) return;
    const watch = this.#source.watch(key, (hint) => void this.#refresh(key, hint));
    this.#keys.set(key, {
      watch,
      ending: new AbortController(),
      reading: undefined,
      again: false,
      hint: undefined,
      told: undefined,
    });
    void this.#refresh(key);
  }

  remove(key: string): void {
    const followed = this.#keys.get(key);
    if (followed === undefined) return;
    this.#keys.delete(key);
    followed.ending.abort();
    void followed.watch.stop();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const key of [...this.#keys.keys()]) this.remove(key);
    await this.#connected.stop();
  }

  /** Every key again, a few at a time: all nodes do this at once when NATS comes back. */
  async #sweep(): Promise<void> {
    const sweep = ++this.#sweeps;
    const keys = [...this.#keys.keys()];
    for (let index = 0; index < keys.length && sweep === this.#sweeps && !this.#stopped; index += SWEEP) {
      await Promise.all(keys.slice(index, index + SWEEP).map((key) => this.#refresh(key)));
    }
  }

  /** Resolves when the key was read and settled. Never throws. */
  #refresh(key: string, hint?: Hint<T>): Promise<void> {
    const followed = this.#keys.get(key);
    if (followed === undefined) return Promise.resolve();
    if (hint !== undefined) followed.hint = hint;
    followed.again = true;
    followed.reading ??= this.#readUntilSettled(key, followed).finally(() => (followed.reading = undefined));
    return followed.reading;
  }

  async #readUntilSettled(key: string, followed: Followed<T>): Promise<void> {
    const { signal } = followed.ending;
    let settling = 0;
    let failures = 0;
    while (followed.again && !signal.aborted) {
      followed.again = false;
      const { hint } = followed;
      try {
        const entry = await this.#source.read(key);
        if (signal.aborted) return;
        failures = 0;
        this.#tell(key, followed, entry);
        if (hint === undefined || same(hint.value, entry?.value)) {
          if (followed.hint === hint) followed.hint = undefined;
          settling = 0;
        } else if (followed.hint === hint && settling < SETTLE_MS.length) {
          await pause(SETTLE_MS[settling++]!, signal);
          followed.again = true;
        } else if (followed.hint === hint) {
          // The stream refused that write.
          followed.hint = undefined;
          settling = 0;
        }
      } catch {
        await pause(backoff(++failures, 50, 5000), signal);
        followed.again = true;
      }
    }
  }

  #tell(key: string, followed: Followed<T>, entry: Entry<T> | undefined): void {
    const now = entry === undefined ? 'gone' : `${entry.revision} ${JSON.stringify(entry.value)}`;
    if (now === followed.told) return;
    followed.told = now;
    this.#onChange(key, entry);
  }
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
