import {
  CREDENTIALS,
  ERROR_CODES,
  newSealingKey,
  openCredential,
  type BrokeredCredential,
  type CredentialReply,
  type ErrorName,
} from '@kuik/contracts';
import type { Bus } from './port.ts';

/** Why no credential could be had. `failure` is one of ours; `retry` says whether asking again may help. */
export class CredentialError extends Error {
  readonly failure: Extract<ErrorName, 'brokerUnavailable' | 'brokerDenied' | 'secretInvalid' | 'unauthorized'>;
  readonly retry: boolean;
  /** Pull secrets whose logins the registry refused, `namespace/name`; empty when it did not come to that. */
  readonly tried: readonly string[];

  constructor(
    failure: CredentialError['failure'],
    message: string,
    details: { retry: boolean; cause?: unknown; tried?: readonly string[] | undefined },
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'CredentialError';
    this.failure = failure;
    this.retry = details.retry;
    this.tried = details.tried ?? [];
  }
}

export interface CredentialClientOptions {
  /** The caller's projected ServiceAccount token, read for each request: it rotates. */
  readonly readToken: () => string | Promise<string>;
  readonly timeoutMs: number;
  /** Epoch ms. */
  readonly now?: () => number;
}

export interface CredentialOptions {
  readonly renew?: boolean;
  readonly pull?: boolean;
  readonly requestId?: string;
}

export interface CredentialClient {
  /**
   * A pull credential for one repository, from memory while it is valid, else from the broker; one request at a time for each
   * repository. `renew` (the last one did not work) asks the broker in any case; `pull` (one waits for it) is answered before what no pull waits
   * for. Throws CredentialError.
   */
  credential(host: string, repository: string, options?: CredentialOptions): Promise<BrokeredCredential>;
}

/** A credential this close to its end is not used any more. */
const MARGIN_MS = 5_000;
/** A credential this close to its end is renewed ahead; while the broker is away it is used on. */
const RENEW_AHEAD_MS = 30_000;
/** "There is none" may change with the next pod. */
const ANONYMOUS_MS = 15_000;
const REFUSED_MS = 5_000;
/** While the broker does not answer, requests fail at once for this long. */
const SILENT_MS = 2_000;
const REMEMBERED_MAX = 2_000;

interface Kept {
  readonly outcome: BrokeredCredential | CredentialError;
  /** A failure for which no pull waited is none of a pull's: that one goes first, and while a registry limits us. */
  readonly pull: boolean;
  readonly untilMs: number;
}

/** The asking side of the credential broker: seals replies to a key of this process and remembers what it got, in memory only. */
export function createCredentialClient(bus: Pick<Bus, 'request'>, options: CredentialClientOptions): CredentialClient {
  const { readToken, timeoutMs, now = Date.now } = options;
  const key = newSealingKey();
  const kept = new Map<string, Kept>();
  const running = new Map<string, Promise<BrokeredCredential>>();
  let silentUntilMs = 0;

  const remember = (name: string, entry: Kept): void => {
    kept.delete(name);
    kept.set(name, entry);
    if (kept.size > REMEMBERED_MAX) kept.delete(kept.keys().next().value!);
  };

  const ask = async (host: string, repository: string, extra: CredentialOptions) => {
    if (now() < silentUntilMs) throw silence('the broker did not answer a moment ago');
    let reply: CredentialReply;
    try {
      const token = await readToken();
      reply = await bus.request(
        CREDENTIALS,
        { host, repository, token, publicKey: key.publicKey, ...extra },
        { timeoutMs },
      );
    } catch (error) {
      // A late answer is about this repository (a slow token server); anything else is about the broker.
      if (!isTimeout(error)) silentUntilMs = now() + SILENT_MS;
      throw silence(reasonOf(error), error);
    }
    if ('error' in reply) throw refusal(reply.error);
    try {
      return openCredential(reply.sealed, key.privateKey);
    } catch (error) {
      throw silence('the reply cannot be opened', error);
    }
  };

  const fetch = async (name: string, host: string, repository: string, extra: CredentialOptions) => {
    const { pull = false } = extra;
    try {
      const credential = await ask(host, repository, extra);
      const untilMs = credential.kind === 'anonymous' ? now() + ANONYMOUS_MS : credential.expiresAtMs - MARGIN_MS;
      remember(name, { outcome: credential, pull, untilMs });
      return credential;
    } catch (error) {
      const inHand = kept.get(name);
      const usable = extra.renew !== true && inHand !== undefined && now() < inHand.untilMs;
      if (usable && !(inHand.outcome instanceof CredentialError)) return inHand.outcome;
      if (error instanceof CredentialError) {
        const forMs = error.failure === 'brokerUnavailable' ? SILENT_MS : REFUSED_MS;
        remember(name, { outcome: error, pull, untilMs: now() + forMs });
      }
      throw error;
    }
  };

  return {
    async credential(host, repository, { renew, pull, requestId } = {}) {
      const name = `${host}/${repository}`;
      const inHand = kept.get(name);
      if (renew !== true && inHand !== undefined && now() < inHand.untilMs) {
        const { outcome, untilMs } = inHand;
        if (outcome instanceof CredentialError) {
          if (pull !== true || inHand.pull) throw outcome;
        } else if (outcome.kind === 'anonymous' || untilMs - now() >= RENEW_AHEAD_MS) return outcome;
      }
      const extra = {
        ...(renew === true ? { renew } : {}),
        ...(pull === true ? { pull } : {}),
        ...(requestId === undefined ? {} : { requestId }),
      };
      const flight = `${renew === true ? 'renew ' : ''}${pull === true ? 'pull ' : ''}${name}`;
      let request = running.get(flight);
      if (request === undefined) {
        request = fetch(name, host, repository, extra).finally(() => running.delete(flight));
        running.set(flight, request);
      }
      return request;
    },
  };
}

/**
 * Whom the registry counts requests for this repository for: the account of the credential that is in hand, or would be had now. Undefined: nobody in
 * particular, also while no credential can be had.
 */
export async function accountFor(
  client: Pick<CredentialClient, 'credential'>,
  host: string,
  repository: string,
  options: { requestId?: string } = {},
): Promise<string | undefined> {
  try {
    const given = await client.credential(host, repository, options);
    return given.kind === 'anonymous' ? undefined : given.account;
  } catch (error) {
    if (error instanceof CredentialError) return undefined;
    throw error;
  }
}

function silence(why: string, cause?: unknown): CredentialError {
  return new CredentialError('brokerUnavailable', `no credential could be had: ${why}`, { retry: true, cause });
}

function refusal(error: Extract<CredentialReply, { error: object }>['error']): CredentialError {
  const names = ['brokerUnavailable', 'brokerDenied', 'secretInvalid', 'unauthorized'] as const;
  const failure = names.find((name) => ERROR_CODES[name].code === error.code) ?? 'brokerUnavailable';
  return new CredentialError(failure, error.message, { retry: error.retry, tried: error.tried });
}

function isTimeout(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'timeout';
}

/** Bus and file errors name no secret; the token file's path is a help. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0]! : 'the broker does not answer';
}
