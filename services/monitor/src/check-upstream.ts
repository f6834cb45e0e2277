import { CredentialError, type CredentialClient } from '@kuik/bus';
import type { UnreadSecret } from '@kuik/contracts';
import type { Reference } from '@kuik/image';
import {
  credentialsOf,
  RegistryError,
  type Credential,
  type RegistryAccess,
  type RegistryErrorCode,
} from '@kuik/registry';
import type { CheckResult } from './judge.ts';
import { lookUpstream } from './look-upstream.ts';
import type { Ask } from './what-to-ask.ts';

export interface CheckOptions {
  readonly registry: Pick<RegistryAccess, 'upstream'>;
  /** Absent: there is no broker, and everything is asked anonymously. */
  readonly credentials?: Pick<CredentialClient, 'credential'> | undefined;
  /** For everything: credential, token, each request. */
  readonly timeoutMs: number;
  readonly method: 'HEAD' | 'GET';
}

const REFUSALS = new Set<RegistryErrorCode>(['unauthorized', 'forbidden']);
/** What a registry also answers for what it does not show to strangers. */
const HIDING = new Set<RegistryErrorCode>(['unauthorized', 'forbidden', 'not-found']);

/**
 * Asks upstream for an image, by HEAD unless `method` says GET (and where a registry does not answer HEAD): one request, and a second one when a
 * tag names a digest that was not known (or is back) and has to be resolved, or a digest is gone. A credential that was refused is renewed once. Throws only when
 * `signal` aborts.
 */
export async function checkUpstream(
  { host, path }: Reference,
  ask: Ask,
  { registry, credentials, timeoutMs, method }: CheckOptions,
  signal: AbortSignal,
): Promise<CheckResult> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const either = AbortSignal.any([signal, deadline]);
  let brokerFailure: CredentialError | undefined;
  let secrets: readonly string[] | undefined;
  let unread: readonly UnreadSecret[] | undefined;
  /** The digest that is being asked for, when it is one that a tag named. */
  let asked: string | undefined;

  const credentialFor = async (renew: boolean): Promise<readonly Credential[]> => {
    if (credentials === undefined) return [];
    try {
      const given = await credentials.credential(host, path, { renew });
      secrets = given.tried ?? [];
      unread = given.unread;
      return credentialsOf(given);
    } catch (error) {
      if (!(error instanceof CredentialError)) throw error;
      brokerFailure = error;
      secrets = error.failure === 'unauthorized' ? error.tried : undefined;
      return [];
    }
  };
  const head = async (tried: readonly Credential[]): Promise<CheckResult> => {
    try {
      const repository = registry.upstream(
        host,
        path,
        { credentials: () => Promise.resolve(tried) },
        { background: true },
      );
      const look = (reference: string) =>
        method === 'GET'
          ? repository.openManifest(reference, { signal: either })
          : repository.headManifest(reference, { signal: either });
      const { told, by } = await lookUpstream(ask, look, (digest) => (asked = digest));
      const exhausted = told.rateLimit?.remaining === 0;
      return {
        kind: 'seen',
        digest: told.digest,
        ...(by === 'digest' ? { by } : {}),
        ...(exhausted ? { exhausted } : {}),
      };
    } catch (error) {
      signal.throwIfAborted();
      if (deadline.aborted) return { kind: 'failed', code: 'timeout', message: `no answer within ${timeoutMs} ms` };
      if (!(error instanceof RegistryError)) throw error;
      return {
        kind: 'failed',
        code: error.code,
        message: error.message,
        retryAfterMs: error.retryAfterMs,
        tried: secrets,
        unread,
        askedAs: error.askedAs,
        ...(error.rateLimit?.remaining === 0 ? { exhausted: true } : {}),
        ...(asked === undefined ? {} : { digest: asked }),
      };
    }
  };

  const first = await credentialFor(false);
  let result = await head(first);
  if (first.length > 0 && result.kind === 'failed' && REFUSALS.has(result.code)) {
    const renewed = await credentialFor(true);
    if (renewed.length > 0) result = await head(renewed);
  }
  const silent = brokerFailure?.failure === 'brokerUnavailable';
  if (silent && result.kind === 'failed' && HIDING.has(result.code)) {
    return { kind: 'undecided', message: `${result.message}; ${brokerFailure?.message ?? ''}` };
  }
  return result;
}
