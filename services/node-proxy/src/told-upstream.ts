import type { UpstreamTold } from '@kuik/contracts';
import type { RegistryEvent } from '@kuik/registry';

type HostTold = UpstreamTold['hosts'][number];

const HOSTS_MAX = 64;
const IDENTITIES_MAX = 4;

/** What this node met upstream since it told last. Bounded: what finds no room is not told (a hint, not a ledger). */
export class ToldUpstream {
  /** By host and account. */
  #hosts = new Map<string, Omit<HostTold, 'quotas'> & { quotas: Map<string, HostTold['quotas'][number]> }>();

  /** One request that ended; what concerns no quota is passed over. */
  add({ host, operation, status, upstream }: RegistryEvent): void {
    if (upstream === undefined) return;
    const { identity, account, rateLimit, retryAfterMs } = upstream;
    const counted = operation === 'manifest-get';
    const limited = status === 429;
    if (!counted && !limited && rateLimit === undefined) return;
    const key = `${host} ${account ?? ''}`;
    const of = account === undefined ? { host } : { host, account };
    const told = this.#hosts.get(key) ?? { ...of, requests: 0, quotas: new Map<string, HostTold['quotas'][number]>() };
    if (!this.#hosts.has(key) && this.#hosts.size >= HOSTS_MAX) return;
    this.#hosts.set(key, told);
    if (counted) told.requests += 1;
    if (limited) told.limited = retryAfterMs === undefined ? {} : { retryAfterMs };
    if (rateLimit !== undefined && (told.quotas.has(identity) || told.quotas.size < IDENTITIES_MAX))
      told.quotas.set(identity, { identity, ...rateLimit });
  }

  /** What there is to tell, and a fresh start; undefined: nothing. */
  take(node: string): UpstreamTold | undefined {
    if (this.#hosts.size === 0) return undefined;
    const hosts = [...this.#hosts.values()].map((told) => ({ ...told, quotas: [...told.quotas.values()] }));
    this.#hosts = new Map();
    return { node, hosts };
  }
}
