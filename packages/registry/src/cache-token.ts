import { createPrivateKey, randomUUID, sign, X509Certificate, type KeyObject } from 'node:crypto';
import type { Attempt, Authorizer, Need } from './authorizer.ts';
import type { CacheEndpoint } from './port.ts';

const LIFETIME_S = 300;
/** Clocks of two machines may differ by this much. */
const SKEW_S = 60;
const REUSE_S = 240;
const MAX_TOKENS = 10_000;

type Signer = NonNullable<CacheEndpoint['signer']>;

/** Signs the Bearer tokens that our own cache registry accepts, one per repository; the registry checks them by our certificate. */
export class CacheTokens {
  readonly #signer: Signer;
  readonly #key: KeyObject;
  readonly #header: string;
  readonly #now: () => number;
  readonly #tokens = new Map<string, { token: string; untilMs: number }>();

  constructor(signer: Signer, now: () => number) {
    this.#signer = signer;
    this.#now = now;
    this.#key = createPrivateKey(signer.keyPem);
    const certificate = new X509Certificate(signer.certificatePem).raw.toString('base64');
    this.#header = encode({ typ: 'JWT', alg: 'ES256', x5c: [certificate] });
  }

  /** A token for `repository` with the signer's actions, and `pull` on `mountFrom`; signed anew a minute before it ends. */
  token(repository: string, mountFrom?: string): string {
    const key = `${repository} ${mountFrom ?? ''}`;
    const kept = this.#tokens.get(key);
    if (kept !== undefined && kept.untilMs > this.#now()) return kept.token;
    if (this.#tokens.size >= MAX_TOKENS) this.#tokens.clear();
    const token = this.#sign(repository, mountFrom);
    this.#tokens.set(key, { token, untilMs: this.#now() + REUSE_S * 1000 });
    return token;
  }

  #sign(repository: string, mountFrom: string | undefined): string {
    const nowS = Math.floor(this.#now() / 1000);
    const access = [{ type: 'repository', name: repository, actions: this.#signer.actions }];
    if (mountFrom !== undefined) access.push({ type: 'repository', name: mountFrom, actions: ['pull'] });
    const claims = {
      iss: this.#signer.issuer,
      sub: this.#signer.issuer,
      aud: this.#signer.audience,
      exp: nowS + LIFETIME_S,
      nbf: nowS - SKEW_S,
      iat: nowS - SKEW_S,
      jti: randomUUID(),
      access,
    };
    const text = `${this.#header}.${encode(claims)}`;
    const signature = sign('sha256', Buffer.from(text), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return `${text}.${signature.toString('base64url')}`;
  }
}

/** Authorises requests to one repository of our cache; unasked, and with nothing else to try. */
export class CacheAuthorizer implements Authorizer {
  readonly #tokens: CacheTokens | undefined;
  readonly #repository: string;

  constructor(tokens: CacheTokens | undefined, repository: string) {
    this.#tokens = tokens;
    this.#repository = repository;
  }

  first(need: Need): Attempt {
    // What a repository is mounted from itself needs nothing beyond the token that every other request carries.
    const from = need.mountFrom === this.#repository ? undefined : need.mountFrom;
    const token = this.#tokens?.token(this.#repository, from);
    return { header: token === undefined ? undefined : `Bearer ${token}` };
  }

  next(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  accepted(): void {
    // Nothing to remember: the token is always the same.
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
