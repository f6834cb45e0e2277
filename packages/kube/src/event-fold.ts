import type { KubeObject } from './port.ts';

/** One event that was said, and how often. */
export interface FoldedEvent {
  object: KubeObject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  count: number;
  firstAt: Date;
  lastAt: Date;
  /** Monotonic. */
  since: number;
  /** Name of the Event object, once it exists. */
  written?: string;
  attempts: number;
}

export interface FoldLimits {
  windowMs: number;
  /** Events that wait to be written. */
  maxPending: number;
}

/** Folds repetitions: the same object, type, reason and message within the window is one event with a count. Bounded. */
export class EventFold {
  readonly #limits: FoldLimits;
  readonly #known = new Map<string, FoldedEvent>();
  readonly #pending = new Set<FoldedEvent>();

  constructor(limits: FoldLimits) {
    this.#limits = limits;
  }

  /** Takes one event; false when too many wait and this one is dropped. `now` is monotonic, in milliseconds. */
  add(said: Pick<FoldedEvent, 'object' | 'type' | 'reason' | 'message'>, now: number, date: Date): boolean {
    const key = [said.object.metadata.uid, said.object.metadata.name, said.type, said.reason, said.message].join('\0');
    const known = this.#known.get(key);
    if (known !== undefined && now - known.since < this.#limits.windowMs) {
      known.count++;
      known.lastAt = date;
      this.#pending.add(known);
      return true;
    }
    if (this.#pending.size >= this.#limits.maxPending) return false;
    const fresh: FoldedEvent = { ...said, count: 1, firstAt: date, lastAt: date, since: now, attempts: 0 };
    this.#known.delete(key);
    this.#known.set(key, fresh);
    this.#pending.add(fresh);
    this.#forgetOld(now);
    return true;
  }

  /** What waits, oldest first. Taking removes; `again` puts one back. */
  take(): FoldedEvent[] {
    const taken = [...this.#pending];
    this.#pending.clear();
    return taken;
  }

  again(event: FoldedEvent): void {
    this.#pending.add(event);
  }

  get waiting(): number {
    return this.#pending.size;
  }

  get known(): number {
    return this.#known.size;
  }

  #forgetOld(now: number): void {
    for (const [key, event] of this.#known) {
      if (now - event.since < this.#limits.windowMs && this.#known.size <= this.#limits.maxPending * 4) return;
      this.#known.delete(key);
    }
  }
}
