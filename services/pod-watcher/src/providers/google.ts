import { loadLibrary } from './load-library.ts';
import type { LoginProvider, ProvidedLogin } from './port.ts';
import { RenewedLogins } from './renewed-logins.ts';

/** What is used of the vendor's library; tests may have their own. */
export type GoogleSdk = () => Promise<{
  readonly token?: string | null | undefined;
  readonly expiresAtMs?: number | undefined;
}>;

export interface GoogleOptions {
  readonly now: () => number;
  readonly sdk?: GoogleSdk;
}

/** Google says so of every access token. */
const HOUR_MS = 3_600_000;

/** Logins of Artifact Registry and Container Registry by the identity of this process (workload identity), through Google's own library. */
export class GoogleProvider implements LoginProvider {
  readonly name = 'google';
  readonly #options: GoogleOptions;
  readonly #logins: RenewedLogins;

  constructor(options: GoogleOptions) {
    this.#options = options;
    this.#logins = new RenewedLogins(options.now);
  }

  covers(host: string): boolean {
    return isGoogle(host);
  }

  async logins(host: string, _repository: string, options: { renew?: boolean }): Promise<readonly ProvidedLogin[]> {
    return isGoogle(host) ? this.#logins.get(['google'], () => this.#ask(), options) : [];
  }

  async #ask() {
    const { now, sdk = google } = this.#options;
    const { token, expiresAtMs = now() + HOUR_MS } = await sdk();
    if (typeof token !== 'string' || token === '') throw new Error('Google answered without a token');
    const credential = { kind: 'basic', username: 'oauth2accesstoken', password: token } as const;
    return { key: 'google', logins: [{ credential, expiresAtMs }], expiresAtMs };
  }
}

/** `gcr.io`, its regions, and `<location>-docker.pkg.dev`. */
export function isGoogle(host: string): boolean {
  return host === 'gcr.io' || host.endsWith('.gcr.io') || host.endsWith('.pkg.dev');
}

/** Read-only is enough for pulling; older node identities have only the wider one, which Google grants as what they have. */
const SCOPES = ['https://www.googleapis.com/auth/cloud-platform'];

const google: GoogleSdk = async () => {
  const { GoogleAuth } = await loadLibrary(import('google-auth-library'));
  const client = await new GoogleAuth({ scopes: SCOPES }).getClient();
  const { token } = await client.getAccessToken();
  const end = client.credentials.expiry_date;
  return { token, ...(typeof end === 'number' ? { expiresAtMs: end } : {}) };
};
