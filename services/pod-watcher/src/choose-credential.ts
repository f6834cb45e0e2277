import { createHash } from 'node:crypto';
import {
  type BrokeredCredential,
  ERROR_CODES,
  type ErrorCode,
  type ExplainedRepository,
  explainRefusal,
} from '@kuik/contracts';
import { type Credential, type PullToken, type PullTokenExchange, RegistryError } from '@kuik/registry';
import { BriefMemory } from '@kuik/runtime';
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
  /** Pull secrets that were tried, `namespace/name`: for our own services, as `message` is. */
  readonly tried: readonly string[];

  constructor(
    code: ErrorCode,
    message: string,
    retry: boolean,
    details: { anonymised?: string; tried?: readonly string[] } = {},
  ) {
    super(message);
    this.name = 'BrokerRefusal';
    this.code = code;
    this.retry = retry;
    this.anonymised = details.anonymised ?? message;
    this.tried = details.tried ?? [];
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
const TRIED_MAX = 64;
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
    this.#tokens = new BriefMemory({ forMs: 0, entries: TOKENS_KEPT, now: options.now });
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
        const token = await this.#exchange(host, repository, candidate, { ...options, verify: wantsProof });
        return this.#brokered(token, candidate === ANONYMOUS ? tried : [...tried, candidate.label]);
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (!isRefusal(error)) throw failed(host, repository, error);
        if (candidate !== ANONYMOUS) tried.push(candidate.label);
        if (verify) unproven ??= candidate;
      }
    }
    if (unproven !== undefined) {
      const token = await this.#exchange(host, repository, unproven, { ...options, verify: false }).catch(
        () => undefined,
      );
      if (token !== undefined) return this.#brokered(token, tried);
    }
    throw refusedAll({ host, path: repository }, tried, mistakes);
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
    return this.#tokens.get(key, work, { until: (token) => this.#until(token), renew: renew === true });
  }

  #until(token: PullToken): number {
    const askedAt = this.#askedAt.get(token) ?? this.#options.now();
    if (token.kind === 'bearer') return askedAt + (token.expiresAtMs - askedAt) * LIFE;
    return askedAt + (token.kind === 'header' ? this.#options.headerTtlMs : ANONYMOUS_TTL_MS);
  }

  #brokered(token: PullToken, secrets: readonly string[]): BrokeredCredential {
    const tried = secrets.length === 0 ? {} : { tried: secretNames(secrets) };
    if (token.kind !== 'header') return { ...token, ...tried };
    return { ...token, expiresAtMs: this.#options.now() + this.#options.headerTtlMs, ...tried };
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
  repository: ExplainedRepository,
  secrets: readonly string[],
  mistakes: readonly SecretMistake[],
): BrokerRefusal {
  const tried = secretNames(secrets);
  const number = `${tried.length === 0 ? 'no' : tried.length} pull ${tried.length === 1 ? 'secret' : 'secrets'}`;
  if (mistakes.length > 0) {
    const named = mistakes.map(({ label, mistake }) => `secret ${label} ${mistake}`).join('; ');
    const unnamed = [...new Set(mistakes.map(({ mistake }) => `a pull secret ${mistake}`))].join('; ');
    return new BrokerRefusal(
      ERROR_CODES.secretInvalid,
      `${named} (tried: ${[...tried, ANONYMOUS.label].join(', ')})`,
      false,
      { anonymised: `${unnamed} (tried: ${number}, ${ANONYMOUS.label})`, tried },
    );
  }
  const anonymised = `the registry refused every credential (${number}, ${ANONYMOUS.label})`;
  return new BrokerRefusal(ERROR_CODES.unauthorized, explainRefusal(repository, tried).why, false, {
    anonymised,
    tried,
  });
}

/** Each secret once (it may hold several logins), and no more than an answer may hold. */
function secretNames(secrets: readonly string[]): string[] {
  return [...new Set(secrets)].slice(0, TRIED_MAX);
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
