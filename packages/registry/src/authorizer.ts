import type { RegistryEndpoint } from './port.ts';

export type Action = 'pull' | 'push' | 'delete';

/** What a request needs to be allowed to do. */
export interface Need {
  actions: readonly Action[];
  /** A sibling repository to read from (cross-repository mount). */
  mountFrom?: string;
}

/** One way to authorise a request; opaque to the sender. */
export interface Attempt {
  /** Value of Authorization; undefined sends none. */
  readonly header: string | undefined;
  /** Of a registry of others: whether no credential stands behind it. */
  readonly anonymous?: boolean;
  /** The account of its credential, when it names one. */
  readonly account?: string;
}

/** The refusal of an attempt, as the registry worded it. */
export interface Refusal {
  status: number;
  challenges: readonly string[];
}

/** Gives the header for a request to one repository, and another one when it was refused. */
export interface Authorizer {
  /** At once when nobody has to be asked. */
  first(need: Need, signal?: AbortSignal): Attempt | Promise<Attempt>;
  /** The next thing to try after 401 or 403; undefined when nothing is left. */
  next(attempt: Attempt, refusal: Refusal, signal?: AbortSignal): Promise<Attempt | undefined>;
  /** The attempt was accepted: begin with it next time. */
  accepted(attempt: Attempt): void;
}

/** A registry as its clients see it: where it is and whom it trusts. */
export interface RegistrySite {
  readonly base: URL;
  readonly endpoint: RegistryEndpoint;
}
