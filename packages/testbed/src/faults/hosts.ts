import type { AuthPolicy } from './access.ts';
import type { Listener } from './listener.ts';

/** One name that the proxy answers for. */
export interface HostState {
  readonly name: string;
  /** Its own port; a host that nobody declared is served on the shared ports alone. */
  listener?: Listener;
  tls: boolean;
  auth?: AuthPolicy | undefined;
  down: boolean;
}

/** The names, in the order in which they became known. */
export class Hosts {
  readonly #states = new Map<string, HostState>();
  readonly #tls: boolean;

  constructor(tls: boolean) {
    this.#tls = tls;
  }

  /** The state of a host; a new name becomes known by being asked for. */
  get(name: string): HostState {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = { name, tls: this.#tls, down: false };
      this.#states.set(name, state);
    }
    return state;
  }

  isKnown(name: string): boolean {
    return this.#states.has(name);
  }

  all(): HostState[] {
    return [...this.#states.values()];
  }
}
