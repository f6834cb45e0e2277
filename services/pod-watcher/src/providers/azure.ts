import type { RefreshTokenExchange } from '@kuik/registry';
import { loadLibrary } from './load-library.ts';
import type { LoginProvider, ProvidedLogin } from './port.ts';
import { RenewedLogins } from './renewed-logins.ts';

/** What is used of the vendor's library: an access token of Microsoft Entra for an audience. */
export type AzureSdk = (scope: string) => Promise<{ readonly token: string }>;

export interface AzureOptions {
  readonly now: () => number;
  readonly exchange: RefreshTokenExchange;
  /** Whom the access token is for; default that of every registry. */
  readonly audience: string;
  readonly sdk?: AzureSdk;
}

const SUFFIXES = ['.azurecr.io', '.azurecr.cn', '.azurecr.us'];
/** What ACR gives its refresh tokens, should one not say. */
const THREE_HOURS_MS = 3 * 3_600_000;

/**
 * Logins of Azure Container Registry by the identity of this process (workload identity, managed identity): Microsoft's own library gives an
 * access token, which the registry itself exchanges for a refresh token of its own.
 */
export class AzureProvider implements LoginProvider {
  readonly name = 'azure';
  readonly #options: AzureOptions;
  readonly #logins: RenewedLogins;

  constructor(options: AzureOptions) {
    this.#options = options;
    this.#logins = new RenewedLogins(options.now);
  }

  covers(host: string): boolean {
    return isAzure(host);
  }

  async logins(host: string, _repository: string, options: { renew?: boolean }): Promise<readonly ProvidedLogin[]> {
    return isAzure(host) ? this.#logins.get([host], () => this.#ask(host), options) : [];
  }

  async #ask(host: string) {
    const { now, exchange, audience, sdk = azure } = this.#options;
    const { token: accessToken } = await sdk(`${audience}/.default`);
    const token = await exchange.refreshTokenFor(host, accessToken);
    const expiresAtMs = endOfToken(token) ?? now() + THREE_HOURS_MS;
    return { key: host, logins: [{ credential: { kind: 'identity', token } as const, expiresAtMs }], expiresAtMs };
  }
}

export function isAzure(host: string): boolean {
  return SUFFIXES.some((suffix) => host.endsWith(suffix));
}

/** `exp` of a JSON web token in ms, unverified: whoever issued it may say when it ends. */
export function endOfToken(token: string): number | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      exp?: unknown;
    };
    return typeof claims.exp === 'number' ? claims.exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

const azure: AzureSdk = async (scope) => {
  const { DefaultAzureCredential } = await loadLibrary(import('@azure/identity'));
  return new DefaultAzureCredential().getToken(scope);
};
