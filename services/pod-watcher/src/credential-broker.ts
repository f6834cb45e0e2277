import {
  type BrokeredCredential,
  type CredentialReply,
  type CredentialRequest,
  ERROR_CODES,
  sealCredential,
} from '@kuik/contracts';
import { canonicalHost, isRepositoryPath } from '@kuik/image';
import { isKubeError } from '@kuik/kube';
import type { Logger } from '@kuik/runtime';
import { BrokerRefusal } from './broker-refusal.ts';
import type { CredentialChooser } from './choose-credential.ts';
import type { ClusterView } from './cluster-view.ts';
import { type PullSources, pullSourcesFor, type SecretName } from './pull-sources.ts';
import type { Requester } from './requester.ts';
import { seenWithin } from './seen-within.ts';
import type { SecretReader } from './secret-reader.ts';
import type { TokenReviews } from './token-reviews.ts';

export interface BrokerParts {
  readonly reviews: Pick<TokenReviews, 'requester'>;
  readonly view: ClusterView;
  readonly secrets: Pick<SecretReader, 'read'>;
  readonly chooser: Pick<CredentialChooser, 'choose'>;
  /** How long a pod is waited for that no watch has shown yet, ms. */
  readonly podWaitMs: number;
  /** By host: what monitor may check with when nothing else does. */
  readonly fallbackSecrets: Readonly<Record<string, SecretName>>;
  readonly now: () => number;
  readonly log: Logger;
  readonly count: (requester: string, result: string) => void;
}

interface Asked {
  readonly host: string;
  /** Host and path. */
  readonly name: string;
}

/**
 * One credential request: who asks (TokenReview), may they have this repository, which secrets count for it, what does the registry
 * give for them; the answer sealed to the asker's key. Tokens and secrets reach no log, no error and no other payload; names of
 * secrets reach the log and our own services, never a node.
 */
export class CredentialBroker {
  readonly #parts: BrokerParts;

  constructor(parts: BrokerParts) {
    this.#parts = parts;
  }

  /** Never throws: what goes wrong is the reply. */
  async answer(request: CredentialRequest): Promise<CredentialReply> {
    const { log, count, now } = this.#parts;
    const started = now();
    const { host, repository, requestId } = request;
    let asker = 'unknown';
    try {
      const requester = await this.#parts.reviews.requester(request.token);
      asker = requester.kind;
      const credential = await this.#credential(request, requester);
      // The names of what was tried, or could not be, are for our own services alone.
      const { tried: _names, unread: _secrets, ...unnamed } = credential;
      const sealed = seal(asker === 'service' ? credential : unnamed, request.publicKey);
      count(asker, credential.kind);
      log.debug('credential given', {
        host,
        repository,
        requestId,
        requester: asker,
        kind: credential.kind,
        ms: now() - started,
      });
      return { sealed };
    } catch (error) {
      const { code, message, anonymised, retry, tried } = refusalOf(error);
      count(asker, code);
      if (!(error instanceof BrokerRefusal))
        log.warn('credential request failed', { host, repository, requestId, error });
      log.info('credential refused', { host, repository, requestId, requester: asker, code, reason: message });
      if (asker !== 'service') return { error: { code, message: anonymised, retry } };
      return { error: { code, message, retry, ...(tried.length === 0 ? {} : { tried: [...tried] }) } };
    }
  }

  async #credential(request: CredentialRequest, requester: Requester): Promise<BrokeredCredential> {
    const host = canonicalHost(request.host);
    if (host === undefined || !isRepositoryPath(request.repository)) {
      throw new BrokerRefusal(ERROR_CODES.nameInvalid, 'host or repository is malformed', false);
    }
    const renew = request.renew === true ? { renew: true } : {};
    const sources = await this.#sources({ host, name: `${host}/${request.repository}` }, requester);
    const secrets = await this.#parts.secrets.read(sources, renew);
    const reference = (): string | undefined => this.#parts.view.referenceIn(`${host}/${request.repository}`);
    // A node asks for pulls alone.
    const background = requester.kind === 'service' && request.pull !== true;
    return this.#parts.chooser.choose(host, request.repository, secrets, { ...renew, reference, background });
  }

  /** Throws BrokerRefusal. */
  async #sources(repository: Asked, requester: Requester): Promise<PullSources> {
    if (requester.kind === 'nobody') throw new BrokerRefusal(ERROR_CODES.brokerDenied, requester.why, false);
    const { view, podWaitMs } = this.#parts;
    const found = await seenWithin(view, () => this.#look(repository, requester), podWaitMs);
    if (found !== undefined) return found;
    const why =
      requester.kind === 'node'
        ? `no pod on node ${requester.node} uses ${repository.name}`
        : `no CachedImage names ${repository.name}`;
    throw new BrokerRefusal(ERROR_CODES.brokerDenied, why, requester.kind === 'node');
  }

  #look({ host, name }: Asked, requester: Requester): PullSources | undefined {
    const { view, fallbackSecrets } = this.#parts;
    return pullSourcesFor(requester, {
      pods: view.usage.podsOfRepository(name),
      templates: view.usage.templatesOfRepository(name),
      images: view.imagesOfRepository(name),
      repositories: view.repositories.of(name),
      fallback: Object.hasOwn(fallbackSecrets, host) ? fallbackSecrets[host] : undefined,
    });
  }
}

function seal(credential: BrokeredCredential, publicKey: string): string {
  try {
    return sealCredential(credential, publicKey);
  } catch {
    throw new BrokerRefusal(ERROR_CODES.brokerDenied, 'publicKey is not an X25519 key', false);
  }
}

function refusalOf(
  error: unknown,
): Pick<BrokerRefusal, 'message' | 'anonymised' | 'retry' | 'tried'> & { readonly code: string } {
  if (error instanceof BrokerRefusal) {
    const { code, message, anonymised, retry, tried } = error;
    return { code: code.code, message, anonymised, retry, tried };
  }
  const message = isKubeError(error) ? `the API server cannot be asked: ${error.code}` : 'the broker failed';
  return { code: ERROR_CODES.brokerUnavailable.code, message, anonymised: message, retry: true, tried: [] };
}
