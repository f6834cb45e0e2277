import { loadLibrary } from './load-library.ts';
import type { LoginProvider, ProvidedLogin } from './port.ts';
import { RenewedLogins } from './renewed-logins.ts';

/** What is used of the vendor's library; tests have their own. */
export interface EcrSdk {
  /** A token for every registry of a region that the identity may pull from: base64 of `AWS:<password>`. */
  privateToken(region: string, endpoint: string | undefined): Promise<EcrToken>;
  publicToken(endpoint: string | undefined): Promise<EcrToken>;
}

interface EcrToken {
  readonly authorizationToken?: string | undefined;
  readonly expiresAt?: Date | undefined;
}

export interface EcrOptions {
  readonly now: () => number;
  /** Base URLs of the two APIs, for VPC endpoints and tests. */
  readonly endpoint?: string | undefined;
  readonly publicEndpoint?: string | undefined;
  readonly sdk?: EcrSdk;
}

/** `<account>.dkr.ecr.<region>.amazonaws.com`, its FIPS and dual-stack forms, in every partition of AWS. */
const PRIVATE = /^\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(.+)$/;
const DOMAINS = [
  ...['amazonaws.com', 'amazonaws.com.cn', 'amazonaws.eu'],
  ...['on.aws', 'on.amazonwebservices.com.cn', 'on.amazonwebservices.eu'],
  ...['c2s.ic.gov', 'sc2s.sgov.gov', 'cloud.adc-e.uk', 'csp.hci.ic.gov'],
];
/** The second one is reached by IPv6, too. */
const PUBLIC = ['public.ecr.aws', 'ecr-public.aws.com'];
/** What ECR says of a token that names no end. */
const HALF_A_DAY_MS = 12 * 3_600_000;
const TIMEOUT_MS = 10_000;

/** The region of a private ECR registry; `public` for the public one's hosts; undefined for every other host. */
export function ecrRegion(host: string): string | undefined {
  if (PUBLIC.includes(host)) return 'public';
  const [, region, domain = ''] = PRIVATE.exec(host) ?? [];
  return DOMAINS.includes(domain) ? region : undefined;
}

/** Logins of Amazon ECR by the identity of this process (IRSA, pod identity, node role), through AWS' own library. */
export class EcrProvider implements LoginProvider {
  readonly name = 'ecr';
  readonly #options: EcrOptions;
  readonly #logins: RenewedLogins;

  constructor(options: EcrOptions) {
    this.#options = options;
    this.#logins = new RenewedLogins(options.now);
  }

  covers(host: string): boolean {
    return ecrRegion(host) !== undefined;
  }

  async logins(host: string, _repository: string, options: { renew?: boolean }): Promise<readonly ProvidedLogin[]> {
    const region = ecrRegion(host);
    return region === undefined ? [] : this.#logins.get([region], () => this.#ask(region), options);
  }

  async #ask(region: string) {
    const { now, endpoint, publicEndpoint, sdk = amazon } = this.#options;
    const { authorizationToken, expiresAt } = await (region === 'public'
      ? sdk.publicToken(publicEndpoint)
      : sdk.privateToken(region, endpoint));
    const text = Buffer.from(authorizationToken ?? '', 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 1) throw new Error('ECR answered without a token');
    const credential = { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1) } as const;
    const expiresAtMs = expiresAt?.getTime() ?? now() + HALF_A_DAY_MS;
    return { key: region, logins: [{ credential, expiresAtMs }], expiresAtMs };
  }
}

/** The library is loaded with the first image of ECR: whoever has none pays neither time nor memory for it. */
const amazon: EcrSdk = {
  async privateToken(region, endpoint) {
    const { ECRClient, GetAuthorizationTokenCommand } = await loadLibrary(import('@aws-sdk/client-ecr'));
    const client = new ECRClient({ region, ...(endpoint === undefined ? {} : { endpoint }) });
    try {
      const answer = await client.send(new GetAuthorizationTokenCommand({}), {
        abortSignal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return answer.authorizationData?.[0] ?? {};
    } finally {
      client.destroy();
    }
  },
  async publicToken(endpoint) {
    const { ECRPUBLICClient, GetAuthorizationTokenCommand } = await loadLibrary(import('@aws-sdk/client-ecr-public'));
    // Its API is in this region alone.
    const client = new ECRPUBLICClient({ region: 'us-east-1', ...(endpoint === undefined ? {} : { endpoint }) });
    try {
      const answer = await client.send(new GetAuthorizationTokenCommand({}), {
        abortSignal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return answer.authorizationData ?? {};
    } finally {
      client.destroy();
    }
  },
};
