import type { CredentialClient } from '@kuik/bus';
import { CredentialError } from '@kuik/bus';
import type { BrokeredCredential, ErrorName } from '@kuik/contracts';
import { repositoryName } from '@kuik/image';
import {
  RegistryError,
  type Credential,
  type CredentialSource,
  type RegistryAccess,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import { UpstreamFailure } from './failure.ts';
import type { Repository } from './pull-path.ts';
import { WeightedLru } from './weighted-lru.ts';

export interface UpstreamAccessOptions {
  readonly registry: Pick<RegistryAccess, 'upstream'>;
  /** Absent: there is no broker, and everything is asked anonymously. */
  readonly credentials?: CredentialClient;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Answers to an anonymous request after which a credential may help. */
const WORTH_A_CREDENTIAL = new Set<RegistryErrorCode>(['unauthorized', 'forbidden', 'not-found', 'rate-limited']);
const REMEMBERED_MAX = 2_000;
const REMEMBERED_MS = 10 * 60_000;

/**
 * Every call to an upstream registry. Anonymous first, so that public images need no broker; a credential is asked for only when that
 * was refused, and which of the two worked is remembered per repository.
 */
export class UpstreamAccess {
  readonly #options: UpstreamAccessOptions;
  readonly #needsCredential = new WeightedLru<number>(REMEMBERED_MAX);

  constructor(options: UpstreamAccessOptions) {
    this.#options = options;
  }

  /** Runs `work` on an upstream repository. Throws UpstreamFailure; an abort passes as it is. */
  async ask<T>(repository: Repository, requestId: string, work: (client: RepositoryClient) => Promise<T>): Promise<T> {
    const { credentials, now } = this.#options;
    const name = repositoryName(repository);
    if (credentials === undefined) return this.#try(repository, undefined, work);
    const remembered = (this.#needsCredential.get(name) ?? -Infinity) > now();

    let refusal: UpstreamFailure | undefined;
    if (!remembered) {
      try {
        return await this.#try(repository, undefined, work);
      } catch (error) {
        if (!(error instanceof UpstreamFailure) || !WORTH_A_CREDENTIAL.has(error.code)) throw error;
        refusal = error;
      }
    }
    try {
      const answer = await this.#withCredential(credentials, repository, requestId, refusal, work);
      this.#needsCredential.set(name, now() + REMEMBERED_MS);
      return answer;
    } catch (error) {
      if (remembered && error instanceof UpstreamFailure && error.credentialUsed) this.#needsCredential.delete(name);
      throw error;
    }
  }

  async #withCredential<T>(
    credentials: CredentialClient,
    repository: Repository,
    requestId: string,
    refusal: UpstreamFailure | undefined,
    work: (client: RepositoryClient) => Promise<T>,
  ): Promise<T> {
    const ask = async (renew: boolean): Promise<Credential | undefined> => {
      try {
        return usable(await credentials.credential(repository.host, repository.path, { renew, requestId }));
      } catch (error) {
        if (!(error instanceof CredentialError)) throw error;
        if (refusal === undefined) return undefined;
        throw withBroker(refusal, error.failure, error);
      }
    };
    const credential = await ask(false);
    if (credential === undefined) {
      if (refusal !== undefined) throw refusal;
      return this.#try(repository, undefined, work);
    }
    try {
      return await this.#try(repository, credential, work);
    } catch (error) {
      if (!(error instanceof UpstreamFailure) || (error.code !== 'unauthorized' && error.code !== 'forbidden'))
        throw error;
      refusal = error;
      const renewed = await ask(true).catch(() => undefined);
      if (renewed === undefined) throw error;
      return this.#try(repository, renewed, work);
    }
  }

  async #try<T>(
    repository: Repository,
    credential: Credential | undefined,
    work: (client: RepositoryClient) => Promise<T>,
  ): Promise<T> {
    const source: CredentialSource = {
      credentials: () => Promise.resolve(credential === undefined ? [] : [credential]),
    };
    try {
      return await work(this.#options.registry.upstream(repository.host, repository.path, source));
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === 'aborted') throw error;
      throw new UpstreamFailure(error.code, error.message, {
        credentialUsed: credential !== undefined,
        cause: error,
        retryAfterMs: error.retryAfterMs,
        bytesDelivered: error.bytesDelivered,
      });
    }
  }
}

function usable(credential: BrokeredCredential): Credential | undefined {
  switch (credential.kind) {
    case 'anonymous':
      return undefined;
    case 'bearer':
      return credential;
    case 'header':
      return { kind: 'header', value: credential.value };
  }
}

function withBroker(refusal: UpstreamFailure, broker: ErrorName, cause: CredentialError): UpstreamFailure {
  return new UpstreamFailure(refusal.code, `${refusal.message}; ${cause.message}`, {
    credentialUsed: false,
    cause,
    broker,
    retryAfterMs: refusal.retryAfterMs,
  });
}
