import type { TimeStore } from '@kuik/queue';

const KIND = 'checked';

/**
 * When each image was last checked: read from Redis once, then kept in step with it. Written first there: what this process knows, the
 * next leader finds. Every method throws QueueError when Redis does not answer.
 */
export class CheckTimes {
  readonly #store: Pick<TimeStore, 'get' | 'set' | 'forget'>;
  readonly #known = new Map<string, number | undefined>();

  constructor(store: Pick<TimeStore, 'get' | 'set' | 'forget'>) {
    this.#store = store;
  }

  /** Knows exactly these afterwards: reads new ones, forgets those that are gone. */
  async follow(uids: ReadonlySet<string>): Promise<void> {
    const unknown = [...uids].filter((uid) => !this.#known.has(uid));
    if (unknown.length > 0) {
      const times = await this.#store.get(KIND, unknown);
      unknown.forEach((uid, index) => this.#known.set(uid, times[index]));
    }
    const gone = [...this.#known.keys()].filter((uid) => !uids.has(uid));
    if (gone.length === 0) return;
    await this.#store.forget(KIND, gone);
    for (const uid of gone) this.#known.delete(uid);
  }

  /** Epoch ms; undefined: never checked, as far as anybody knows. */
  at(uid: string): number | undefined {
    return this.#known.get(uid);
  }

  async record(uid: string, at: number): Promise<void> {
    await this.#store.set(KIND, [[uid, at]]);
    this.#known.set(uid, at);
  }

  /** Another replica leads now: what is known here grows old. */
  drop(): void {
    this.#known.clear();
  }
}
