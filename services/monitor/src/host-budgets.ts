import type { TimeStore } from '@kuik/queue';
import type { Budget } from './schedule.ts';

const KIND = 'check-slots';

/**
 * What of each registry's budget is spent: one slot per check of the budget, each with the time of its last use, in Redis. A slot is
 * taken before the request goes out, so that neither a crash nor a new leader asks more than the budget allows. Every method
 * throws QueueError when Redis does not answer.
 */
export class HostBudgets {
  readonly #store: Pick<TimeStore, 'get' | 'set' | 'forget'>;
  readonly #budgetOf: (host: string) => Budget;
  readonly #slots = new Map<string, (number | undefined)[]>();

  constructor(store: Pick<TimeStore, 'get' | 'set' | 'forget'>, budgetOf: (host: string) => Budget) {
    this.#store = store;
    this.#budgetOf = budgetOf;
  }

  /** Reads the slots of hosts that are new; forgets hosts that are gone, once their last check counts no more. */
  async follow(hosts: ReadonlySet<string>, now: number): Promise<void> {
    for (const [host, slots] of this.#slots) {
      const { windowMs } = this.#budgetOf(host);
      if (hosts.has(host) || this.spent(host).some((time) => time > now - windowMs)) continue;
      if (slots.length > 0)
        await this.#store.forget(
          KIND,
          slots.map((_, slot) => idOf(host, slot)),
        );
      this.#slots.delete(host);
    }
    for (const host of hosts) {
      if (this.#slots.has(host)) continue;
      const ids = Array.from({ length: this.#budgetOf(host).checks }, (_, slot) => idOf(host, slot));
      this.#slots.set(host, ids.length === 0 ? [] : await this.#store.get(KIND, ids));
    }
  }

  /** Times of the checks that are known, epoch ms. */
  spent(host: string): number[] {
    return (this.#slots.get(host) ?? []).filter((time) => time !== undefined);
  }

  /** Takes a slot for a check at `now`; false when none is left. */
  async spend(host: string, now: number): Promise<boolean> {
    const slots = this.#slots.get(host) ?? [];
    const { windowMs } = this.#budgetOf(host);
    const free = slots.findIndex((time) => time === undefined || time <= now - windowMs);
    if (free === -1) return false;
    await this.#store.set(KIND, [[idOf(host, free), now]]);
    slots[free] = now;
    return true;
  }

  drop(): void {
    this.#slots.clear();
  }
}

function idOf(host: string, slot: number): string {
  return `${host} ${slot}`;
}
