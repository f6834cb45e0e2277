import type { KubeObject } from './port.ts';

/** What an event says of its object; the rest of it is not kept while the event waits. */
export interface EventSubject extends Pick<KubeObject, 'apiVersion' | 'kind'> {
  metadata: Pick<KubeObject['metadata'], 'name' | 'namespace' | 'uid' | 'resourceVersion'>;
}

/** One event that was said, and how often. */
export interface FoldedEvent {
  object: EventSubject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  count: number;
  firstAt: Date;
  lastAt: Date;
  /** When it was said last; monotonic. */
  saidAt: number;
  /** Name of the Event object, once it exists. */
  written?: string;
  attempts: number;
}

export interface FoldLimits {
  windowMs: number;
  /** Events that wait to be written. */
  maxPending: number;
  /** Events that repetitions are folded into, beside those that wait. */
  maxKnown: number;
}

/** Folds repetitions: the same object, type, reason and message, each within the window after the last, is one event with a count. Bounded. */
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
    if (known !== undefined && now - known.saidAt < this.#limits.windowMs) {
      known.count++;
      known.lastAt = date;
      known.saidAt = now;
      // The last said is the last to be forgotten.
      this.#known.delete(key);
      this.#known.set(key, known);
      this.#pending.add(known);
      return true;
    }
    if (this.#pending.size >= this.#limits.maxPending) return false;
    const object = subjectOf(said.object);
    const fresh: FoldedEvent = { ...said, object, count: 1, firstAt: date, lastAt: date, saidAt: now, attempts: 0 };
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
      if (now - event.saidAt < this.#limits.windowMs && this.#known.size <= this.#limits.maxKnown) return;
      this.#known.delete(key);
    }
  }
}

function subjectOf({ apiVersion, kind, metadata }: EventSubject): EventSubject {
  const { name, namespace, uid, resourceVersion } = metadata;
  return {
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(kind === undefined ? {} : { kind }),
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion },
  };
}
