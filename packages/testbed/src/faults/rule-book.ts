import { decide, type RequestFacts, type Verdict } from './decide.ts';
import type { Fault, Rule, RuleInput, RuleState, Stage } from './rule.ts';

/** The rules in force, oldest first, with their counters. */
export class RuleBook {
  #states: RuleState[] = [];
  #lastId = 0;
  readonly #onRemoved = new Set<() => void>();

  add(input: RuleInput): Rule {
    this.#lastId += 1;
    const rule = { ...input, id: `r${this.#lastId}` };
    this.#states.push({ rule, seen: 0, applied: 0 });
    return rule;
  }

  /** Changes a rule in place; its counters stay. False when it is gone. */
  change(id: string, change: Partial<RuleInput>): boolean {
    return this.#replace(id, (state) => ({ ...state, rule: { ...state.rule, ...change } }));
  }

  get(id: string): RuleState | undefined {
    return this.#states.find(({ rule }) => rule.id === id);
  }

  states(): readonly RuleState[] {
    return this.#states;
  }

  /** Removes one rule; false when it was not there. */
  remove(id: string): boolean {
    const before = this.#states.length;
    this.#keep(({ rule }) => rule.id !== id);
    return this.#states.length < before;
  }

  /** Removes the rules of a host, or all. */
  clear(host?: string): void {
    this.#keep(({ rule }) => host !== undefined && rule.host !== host);
  }

  /** Resolves when the rule with this very fault is gone, or nobody waits for that any more. */
  untilRemoved(fault: Fault, nobodyWaits: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!nobodyWaits.aborted && this.#states.some(({ rule }) => rule.fault === fault)) return;
        this.#onRemoved.delete(look);
        nobodyWaits.removeEventListener('abort', look);
        resolve();
      };
      this.#onRemoved.add(look);
      nobodyWaits.addEventListener('abort', look);
      look();
    });
  }

  /** Decides for a request and counts it. */
  take(request: RequestFacts, stage: Stage): Verdict {
    const verdict = decide(this.#states, request, stage);
    for (const id of verdict.seen) this.#replace(id, (state) => ({ ...state, seen: state.seen + 1 }));
    for (const id of verdict.applied) this.#replace(id, (state) => ({ ...state, applied: state.applied + 1 }));
    return verdict;
  }

  #keep(which: (state: RuleState) => boolean): void {
    this.#states = this.#states.filter(which);
    for (const look of [...this.#onRemoved]) look();
  }

  #replace(id: string, change: (state: RuleState) => RuleState): boolean {
    const place = this.#states.findIndex(({ rule }) => rule.id === id);
    const state = this.#states[place];
    if (state === undefined) return false;
    this.#states[place] = change(state);
    return true;
  }
}
