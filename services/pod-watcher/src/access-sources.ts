import type { Credential } from '@kuik/registry';
import { candidatesOf } from './candidates.ts';
import type { LoginProviders } from './choose-credential.ts';
import type { ClusterView } from './cluster-view.ts';
import { distinct, namedSecrets, type PullSources } from './pull-sources.ts';
import type { SecretReader } from './secret-reader.ts';

/** Whose pods pull. */
export interface Account {
  readonly namespace: string;
  readonly serviceAccount: string;
}

interface Asked {
  readonly host: string;
  readonly name: string;
}

export interface AccessSourcesParts {
  readonly view: ClusterView;
  readonly secrets: Pick<SecretReader, 'read'>;
  readonly providers?: LoginProviders | undefined;
}

/** The credentials whose word counts for a service account, and those that count for the whole cluster. Nothing of others' namespaces. */
export class AccessSources {
  readonly #parts: AccessSourcesParts;

  constructor(parts: AccessSourcesParts) {
    this.#parts = parts;
  }

  /** The pull secrets of the service account and of its pods that use the repository. */
  async own(asked: Asked, { namespace, serviceAccount }: Account): Promise<Credential[]> {
    const { view } = this.#parts;
    const pods = view.usage
      .podsOfRepository(asked.name)
      .filter((pod) => pod.namespace === namespace && pod.serviceAccount === serviceAccount);
    const secrets = distinct(pods.flatMap((pod) => pod.pullSecrets.map((secret) => ({ namespace, name: secret }))));
    return this.#read(asked, { secrets, serviceAccounts: [{ namespace, name: serviceAccount }] });
  }

  /** What a Repository names for all that use it, and what the cluster itself may read there (cloud identities, plugins). */
  async cluster(asked: Asked): Promise<Credential[]> {
    const { view, providers } = this.#parts;
    const { host, name } = asked;
    const named = namedSecrets(view.repositories.of(name));
    const repository = name.slice(host.length + 1);
    const [secrets, provided] = await Promise.all([
      named.length === 0 ? [] : this.#read(asked, { secrets: distinct(named), serviceAccounts: [] }),
      providers?.covers(host, repository) === true ? providers.logins(host, repository, {}) : undefined,
    ]);
    return [...secrets, ...(provided?.candidates ?? []).map(({ credential }) => credential)];
  }

  async #read({ host, name }: Asked, sources: PullSources): Promise<Credential[]> {
    const read = await this.#parts.secrets.read(sources);
    const repository = name.slice(host.length + 1);
    // A proof is made at once: no token is kept for it.
    return candidatesOf(read, { host, repository }, Infinity).candidates.map(({ credential }) => credential);
  }
}
