import { CredentialError, type CredentialClient } from '@kuik/bus';
import { repositoryName } from '@kuik/image';
import {
  credentialsOf,
  RegistryError,
  type Credential,
  type CredentialSource,
  type RegistryAccess,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import { UpstreamFailure } from './failure.ts';
import type { Repository } from './pull-path.ts';
import type { SharedReads } from './shared-reads.ts';
import { WeightedLru } from './weighted-lru.ts';

export interface UpstreamAccessOptions {
  readonly registry: Pick<RegistryAccess, 'upstream'>;
  /** Absent: there is no broker, and everything is asked anonymously. */
  readonly credentials?: CredentialClient;
  /** Who reads blobs for everybody; absent: each is read alone. */
  readonly shared?: Pick<SharedReads, 'over'>;
  /** Monotonic ms. */
  readonly now: () => number;
}

type Work<T> = (client: RepositoryClient) => Promise<T>;

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
  async ask<T>(repository: Repository, requestId: string, work: Work<T>): Promise<T> {
    const { credentials, now } = this.#options;
    if (credentials === undefined) return this.#try(repository, undefined, requestId, work);
    const name = repositoryName(repository);
    const remembered = (this.#needsCredential.get(name) ?? -Infinity) > now();
    if (!remembered) {
      const anonymous = await this.#anonymously(repository, requestId, work);
      if ('answer' in anonymous) return anonymous.answer;
      return this.#withCredential(repository, requestId, work, anonymous.refusal);
    }
    try {
      return await this.#withCredential(repository, requestId, work, undefined);
    } catch (error) {
      if (error instanceof UpstreamFailure && error.credentialUsed) this.#needsCredential.delete(name);
      throw error;
    }
  }

  /** The answer, or a refusal after which a credential may help. */
  async #anonymously<T>(
    repository: Repository,
    requestId: string,
    work: Work<T>,
  ): Promise<{ answer: T } | { refusal: UpstreamFailure }> {
    try {
      return { answer: await this.#try(repository, undefined, requestId, work) };
    } catch (error) {
      if (error instanceof UpstreamFailure && WORTH_A_CREDENTIAL.has(error.code)) return { refusal: error };
      throw error;
    }
  }

  /** `refusal`: what an anonymous request was told, when one was made. */
  async #withCredential<T>(
    repository: Repository,
    requestId: string,
    work: Work<T>,
    refusal: UpstreamFailure | undefined,
  ): Promise<T> {
    const given = await this.#credential(repository, { requestId });
    if (given.credential === undefined) {
      const asked = refusal === undefined ? await this.#anonymously(repository, requestId, work) : { refusal };
      if ('answer' in asked) return asked.answer;
      throw given.denial === undefined ? asked.refusal : withBroker(asked.refusal, given.denial);
    }
    const answer = await this.#try(repository, given.credential, requestId, work).catch(async (error: unknown) => {
      const refused = error instanceof UpstreamFailure && (error.code === 'unauthorized' || error.code === 'forbidden');
      const { credential } = refused ? await this.#credential(repository, { requestId, renew: true }) : {};
      if (credential === undefined) throw error;
      return this.#try(repository, credential, requestId, work);
    });
    this.#needsCredential.set(repositoryName(repository), this.#options.now() + REMEMBERED_MS);
    return answer;
  }

  /** What the broker gives: a credential, neither (there is none), or why it gives nothing. */
  async #credential(
    { host, path }: Repository,
    options: { requestId: string; renew?: boolean },
  ): Promise<{ credential?: Credential; denial?: CredentialError }> {
    try {
      const credential = credentialsOf(await this.#options.credentials!.credential(host, path, options))[0];
      return credential === undefined ? {} : { credential };
    } catch (error) {
      if (error instanceof CredentialError) return { denial: error };
      throw error;
    }
  }

  async #try<T>(
    repository: Repository,
    credential: Credential | undefined,
    requestId: string,
    work: Work<T>,
  ): Promise<T> {
    const { host, path } = repository;
    const { registry, shared } = this.#options;
    const source: CredentialSource = {
      credentials: () => Promise.resolve(credential === undefined ? [] : [credential]),
    };
    try {
      const client = registry.upstream(host, path, source, { requestId });
      return await work(shared?.over(client, repository, credential !== undefined, requestId) ?? client);
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === 'aborted') throw error;
      throw new UpstreamFailure(error.code, error.message, {
        credentialUsed: credential !== undefined,
        cause: error,
        retryAfterMs: error.retryAfterMs,
      });
    }
  }
}

function withBroker(refusal: UpstreamFailure, denial: CredentialError): UpstreamFailure {
  return new UpstreamFailure(refusal.code, `${refusal.message}; ${denial.message}`, {
    credentialUsed: false,
    cause: denial,
    broker: denial.failure,
    retryAfterMs: refusal.retryAfterMs,
  });
}
