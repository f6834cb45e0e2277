import { isKubeError, type KubeClient, type KubeObject, orAbsent, SECRETS, SERVICE_ACCOUNTS } from '@kuik/kube';
import { BriefMemory } from '@kuik/runtime';
import type { SecretObject } from './pull-secret.ts';
import { distinct, type PullSources, type SecretName } from './pull-sources.ts';

/** A secret that was asked for by name: the object, or why it could not be had. */
export interface ReadSecret {
  readonly source: SecretName;
  readonly secret?: SecretObject;
  readonly mistake?: string;
}

interface ServiceAccountObject extends KubeObject {
  imagePullSecrets?: { name?: string }[];
}

const KEPT = 2_000;

/** Reads users' secrets and service accounts, by name and on demand only; what was read is kept for seconds, in memory. */
export class SecretReader {
  readonly #kube: KubeClient;
  readonly #accounts: BriefMemory<readonly string[]>;
  readonly #secrets: BriefMemory<SecretObject | undefined>;

  constructor(kube: KubeClient, ttlMs: number, now: () => number) {
    this.#kube = kube;
    this.#accounts = new BriefMemory({ forMs: ttlMs, entries: KEPT, now });
    this.#secrets = new BriefMemory({ forMs: ttlMs, entries: KEPT, now });
  }

  /** Every secret of these sources; those that do not exist are left out. Throws KubeError when the API server is away. */
  async read(sources: PullSources, options: { renew?: boolean } = {}): Promise<ReadSecret[]> {
    const ofAccounts = await Promise.all(
      sources.serviceAccounts.map(async (account) =>
        (await this.#secretsOfAccount(account, options)).map((name) => ({ namespace: account.namespace, name })),
      ),
    );
    const names = distinct([...sources.secrets, ...ofAccounts.flat()]);
    return (await Promise.all(names.map((name) => this.#readSecret(name, options)))).filter(
      ({ secret, mistake }) => secret !== undefined || mistake !== undefined,
    );
  }

  #secretsOfAccount(account: SecretName, options: { renew?: boolean }): Promise<readonly string[]> {
    const work = async (): Promise<readonly string[]> => {
      const found = await orAbsent(this.#kube.get<ServiceAccountObject>(SERVICE_ACCOUNTS, account));
      return (found?.imagePullSecrets ?? []).flatMap(({ name }) => (name ? [name] : []));
    };
    return this.#accounts.get(`${account.namespace}/${account.name}`, work, options);
  }

  async #readSecret(source: SecretName, options: { renew?: boolean }): Promise<ReadSecret> {
    const work = (): Promise<SecretObject | undefined> => orAbsent(this.#kube.get<SecretObject>(SECRETS, source));
    try {
      const key = `${source.namespace}/${source.name}`;
      const secret = await this.#secrets.get(key, work, options);
      return { source, ...(secret === undefined ? {} : { secret }) };
    } catch (error) {
      if (isKubeError(error, 'forbidden')) return { source, mistake: 'kuik may not read it' };
      throw error;
    }
  }
}
