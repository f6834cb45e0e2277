import type { Credential } from '@kuik/registry';
import type { ClusterView } from './cluster-view.ts';
import { readPullSecret } from './pull-secret.ts';
import { distinct, type PullSources } from './pull-sources.ts';
import type { ReadSecret, SecretReader } from './secret-reader.ts';

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
}

/** The credentials whose word counts for a service account, and those that count for the whole cluster. Nothing of others' namespaces. */
export class AccessSources {
  readonly #parts: AccessSourcesParts;

  constructor(parts: AccessSourcesParts) {
    this.#parts = parts;
  }

  /** The pull secrets of the service account and of its pods that use the repository. */
  async own({ host, name }: Asked, { namespace, serviceAccount }: Account): Promise<Credential[]> {
    const { view } = this.#parts;
    const pods = view.usage
      .podsOfRepository(name)
      .filter((pod) => pod.namespace === namespace && pod.serviceAccount === serviceAccount);
    const secrets = distinct(pods.flatMap((pod) => pod.pullSecrets.map((secret) => ({ namespace, name: secret }))));
    return this.#read(host, { secrets, serviceAccounts: [{ namespace, name: serviceAccount }] });
  }

  /** What a Repository names for all that use it. */
  async cluster({ host, name }: Asked): Promise<Credential[]> {
    const named = this.#parts.view.repositories
      .of(name)
      .flatMap(({ spec: { pullSecretNames = [], pullSecretsNamespace: namespace } }) =>
        namespace === undefined ? [] : pullSecretNames.map((secret) => ({ namespace, name: secret })),
      );
    return named.length === 0 ? [] : this.#read(host, { secrets: distinct(named), serviceAccounts: [] });
  }

  async #read(host: string, sources: PullSources): Promise<Credential[]> {
    const read = await this.#parts.secrets.read(sources);
    return read.flatMap((secret) => loginsOf(secret, host));
  }
}

function loginsOf({ secret }: ReadSecret, host: string): Credential[] {
  if (secret === undefined) return [];
  const reading = readPullSecret(secret, host);
  return 'mistake' in reading ? [] : reading.logins.map((login) => ({ kind: 'basic', ...login }));
}
