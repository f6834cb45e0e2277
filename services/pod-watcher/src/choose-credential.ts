import { createHash } from 'node:crypto';
import { type BrokeredCredential, ERROR_CODES, type ErrorCode } from '@kuik/contracts';
import { type Credential, type PullToken, type PullTokenExchange, RegistryError } from '@kuik/registry';
import { BriefMemory } from './brief-memory.ts';
import { readPullSecret } from './pull-secret.ts';
import type { ReadSecret } from './secret-reader.ts';

/**
 * A refusal that may leave the process: a code and one line. `message` names secrets at most, for our own services; `anonymised` names none: a
 * node hands it to whoever pulls there, and the secrets that were tried may be those of other namespaces' pods.
 */
export class BrokerRefusal extends Error {
  readonly code: ErrorCode;
  readonly retry: boolean;
  readonly anonymised: string;

  constructor(code: ErrorCode, message: string, retry: boolean, anonymised = message) {
    super(message);
    this.name = 'BrokerRefusal';
    this.code = code;
    this.retry = retry;
    this.anonymised = anonymised;
  }
}

export interface ChooseOptions {
  readonly exchange: PullTokenExchange;
  readonly now: () => number;
  /** How long a Basic header may be used before the secret is read again, ms. */
  readonly headerTtlMs: number;
}

interface Candidate {
  /** For people: `acme/regcred`, or `anonymous`. */
  readonly label: string;
  readonly credential: Credential;
}

const TOKENS_KEPT = 10_000;
/** What a registry that asks for nothing said is believed for this long. */
const ANONYMOUS_TTL_MS = 60_000;
/** A token is not handed out in the last tenth of its life. */
const LIFE = 0.9;

/**
 * Tries the logins of the secrets in their order, then anonymous. The first that the registry gives something for is it; with
 * several logins each is also tried on the repository itself, since some token servers give a token without any access. When
 * none gets through there, the first token is handed out all the same: upstream's own answer then tells.
 */
export class CredentialChooser {
  readonly #options: ChooseOptions;
  readonly #tokens: BriefMemory<PullToken>;
  readonly #askedAt = new WeakMap<PullToken, number>();

  constructor(options: ChooseOptions) {
    this.#options = options;
    this.#tokens = new BriefMemory(TOKENS_KEPT, options.now);
  }

  /** Throws BrokerRefusal. */
  async choose(
    host: string,
    repository: string,
    secrets: readonly ReadSecret[],
    options: { renew?: boolean } = {},
  ): Promise<BrokeredCredential> {
    const { candidates, mistakes } = candidatesOf(secrets, host);
    const verify = candidates.length > 1;
    const tried: string[] = [];
    let unproven: Candidate | undefined;
    for (const candidate of [...candidates, ANONYMOUS]) {
      try {
        const wantsProof = verify && candidate !== ANONYMOUS;
        return this.#brokered(await this.#exchange(host, repository, candidate, { ...options, verify: wantsProof }));
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (!isRefusal(error)) throw failed(host, repository, error);
        tried.push(candidate.label);
        if (verify) unproven ??= candidate;
      }
    }
    if (unproven !== undefined) {
      const token = await this.#exchange(host, repository, unproven, { ...options, verify: false }).catch(
        () => undefined,
      );
      if (token !== undefined) return this.#brokered(token);
    }
    throw refusedAll(host, repository, tried, mistakes);
  }

  async #exchange(
    host: string,
    repository: string,
    { credential }: Candidate,
    { renew, verify }: { renew?: boolean; verify: boolean },
  ): Promise<PullToken> {
    const key = createHash('sha256')
      .update(JSON.stringify([host, repository, verify, credential]))
      .digest('base64');
    const { exchange, now } = this.#options;
    const work = async (): Promise<PullToken> => {
      const askedAt = now();
      const token = await exchange.exchangePullToken(host, repository, credential, { verify });
      this.#askedAt.set(token, askedAt);
      return token;
    };
    return this.#tokens.get(key, work, (token) => this.#until(token), renew === true ? { renew } : {});
  }

  #until(token: PullToken): number {
    const askedAt = this.#askedAt.get(token) ?? this.#options.now();
    if (token.kind === 'bearer') return askedAt + (token.expiresAtMs - askedAt) * LIFE;
    return askedAt + (token.kind === 'header' ? this.#options.headerTtlMs : ANONYMOUS_TTL_MS);
  }

  #brokered(token: PullToken): BrokeredCredential {
    if (token.kind === 'header') return { ...token, expiresAtMs: this.#options.now() + this.#options.headerTtlMs };
    return token;
  }
}

const ANONYMOUS: Candidate = { label: 'anonymous', credential: { kind: 'anonymous' } };

interface SecretMistake {
  readonly label: string;
  readonly mistake: string;
}

function candidatesOf(
  secrets: readonly ReadSecret[],
  host: string,
): { candidates: Candidate[]; mistakes: SecretMistake[] } {
  const candidates: Candidate[] = [];
  const mistakes: SecretMistake[] = [];
  for (const { source, secret, mistake } of secrets) {
    const label = `${source.namespace}/${source.name}`;
    const reading = secret === undefined ? { mistake: mistake ?? 'cannot be read' } : readPullSecret(secret, host);
    if ('mistake' in reading) mistakes.push({ label, mistake: reading.mistake });
    else for (const login of reading.logins) candidates.push({ label, credential: { kind: 'basic', ...login } });
  }
  return { candidates, mistakes };
}

function isRefusal(error: RegistryError): boolean {
  return ['unauthorized', 'forbidden', 'rejected', 'untrusted-host'].includes(error.code);
}

function refusedAll(
  host: string,
  repository: string,
  tried: readonly string[],
  mistakes: readonly SecretMistake[],
): BrokerRefusal {
  const cannot = `cannot read ${host}/${repository}: `;
  const names = tried.join(', ');
  const secrets = new Set(tried.filter((label) => label !== ANONYMOUS.label)).size;
  const numbers = `${secrets === 0 ? 'no' : secrets} pull ${secrets === 1 ? 'secret' : 'secrets'}, ${ANONYMOUS.label}`;
  if (mistakes.length > 0) {
    const named = mistakes.map(({ label, mistake }) => `secret ${label} ${mistake}`).join('; ');
    const unnamed = [...new Set(mistakes.map(({ mistake }) => `a pull secret ${mistake}`))].join('; ');
    const { secretInvalid } = ERROR_CODES;
    const anonymised = `${cannot}${unnamed} (tried: ${numbers})`;
    return new BrokerRefusal(secretInvalid, `${cannot}${named} (tried: ${names})`, false, anonymised);
  }
  const refused = `${cannot}the registry refused every credential`;
  return new BrokerRefusal(ERROR_CODES.unauthorized, `${refused} (${names})`, false, `${refused} (${numbers})`);
}

/** The registry, or its token server, could not be asked. */
function failed(host: string, repository: string, error: RegistryError): BrokerRefusal {
  const code = {
    'rate-limited': ERROR_CODES.rateLimited,
    timeout: ERROR_CODES.upstreamTimeout,
    tls: ERROR_CODES.tls,
    'address-refused': ERROR_CODES.addressRefused,
    'server-error': ERROR_CODES.upstreamFailed,
    'invalid-response': ERROR_CODES.upstreamFailed,
  }[error.code as string];
  const message = `no credential for ${host}/${repository}: ${error.message}`;
  return new BrokerRefusal(code ?? ERROR_CODES.upstreamUnreachable, message, error.retry);
}
