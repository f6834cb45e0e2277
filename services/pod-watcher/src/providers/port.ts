import type { Credential } from '@kuik/registry';

/** A login that a provider gave, and its end (wall clock, ms). In memory only, never logged. */
export interface ProvidedLogin {
  readonly credential: Extract<Credential, { kind: 'basic' | 'identity' }>;
  readonly expiresAtMs: number;
}

/** One source of logins that are the cluster's, not a pod's. */
export interface LoginProvider {
  /** For messages and metrics: `ecr`. */
  readonly name: string;
  /** Whether it may have a login for this repository (canonical host); asks nobody. */
  covers(host: string, repository: string): boolean;
  /** Most specific first. Throws with a reason that names no secret. `renew`: the registry refused what was given last. */
  logins(host: string, repository: string, options: { renew?: boolean }): Promise<readonly ProvidedLogin[]>;
}
