import {
  ERROR_CODES,
  type ErrorCode,
  type ExplainedRepository,
  explainRefusal,
  type UnreadSecret,
} from '@kuik/contracts';
import type { RegistryError } from '@kuik/registry';
import { ANONYMOUS, type LoginMistake } from './candidates.ts';

const TRIED_MAX = 64;
const UNREAD_MAX = 8;
const MISTAKE_MAX = 512;

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

/** Nothing worked: what was tried, and what is wrong with what could not be tried. */
export function refusedAll(
  repository: ExplainedRepository,
  secrets: readonly string[],
  mistakes: readonly LoginMistake[],
): BrokerRefusal {
  // In one order, whichever was tried first: the same refusal is the same text.
  const tried = secretNames([...secrets].sort());
  const number = `${tried.length === 0 ? 'no' : tried.length} pull ${tried.length === 1 ? 'secret' : 'secrets'}`;
  if (mistakes.length > 0) {
    const named = mistakes.map(({ of, label, mistake }) => `${of} ${label} ${mistake}`).join('; ');
    // What a provider says may name accounts and roles of the cluster's operator: none of that is for a node.
    const unnamed = new Set(
      mistakes.map(({ of, mistake }) =>
        of === 'secret' ? `a pull secret ${mistake}` : 'a credential provider failed',
      ),
    );
    const ofPeople = mistakes.some(({ of }) => of === 'secret');
    return new BrokerRefusal(
      ofPeople ? ERROR_CODES.secretInvalid : ERROR_CODES.providerFailed,
      `${named} (tried: ${[...tried, ANONYMOUS.label].join(', ')})`,
      !ofPeople,
      { anonymised: `${[...unnamed].join('; ')} (tried: ${number}, ${ANONYMOUS.label})`, tried },
    );
  }
  const anonymised = `the registry refused every credential (${number}, ${ANONYMOUS.label})`;
  return new BrokerRefusal(ERROR_CODES.unauthorized, explainRefusal(repository, tried).why, false, {
    anonymised,
    tried,
  });
}

/** Each secret once (it may hold several logins), and no more than an answer may hold. */
export function secretNames(secrets: readonly string[]): string[] {
  return [...new Set(secrets)].slice(0, TRIED_MAX);
}

/** The secrets among what could not be tried, no more than an answer may hold. */
export function unreadSecretsOf(mistakes: readonly LoginMistake[]): UnreadSecret[] {
  const ofSecrets = mistakes.filter(({ of }) => of === 'secret');
  return ofSecrets
    .slice(0, UNREAD_MAX)
    .map(({ label, mistake }) => ({ name: label, mistake: mistake.slice(0, MISTAKE_MAX) }));
}

/** The registry, or its token server, could not be asked. */
export function failed(host: string, repository: string, error: RegistryError): BrokerRefusal {
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
