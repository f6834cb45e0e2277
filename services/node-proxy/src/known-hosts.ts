import type { Bus, KeyFollower } from '@kuik/bus';
import { HOST_STATE, hostStateKey, knownRegistry, type HostState } from '@kuik/contracts';
import { WeightedLru } from './weighted-lru.ts';

export interface KnownHostsOptions {
  /** Absent: what others met is not known. */
  readonly bus?: Pick<Bus, 'bucket'> | undefined;
  /** Epoch ms. */
  readonly now: () => number;
}

const FOLLOWED_MAX = 500;
/** A registry that limits us without saying for how long: the next pull may find out. */
const OWN_PARK_MS = 5_000;

/**
 * What is known of the registries that this node asks: what everybody together knows (followed from the first question on, so that
 * nobody waits for it), and what this node met itself.
 */
export class KnownHosts {
  readonly #now: () => number;
  readonly #follower: KeyFollower | undefined;
  readonly #hosts: WeightedLru<{ host: string; state?: HostState | undefined }>;
  readonly #ownParks = new WeightedLru<number>(FOLLOWED_MAX);

  constructor({ bus, now }: KnownHostsOptions) {
    this.#now = now;
    this.#hosts = new WeightedLru(FOLLOWED_MAX, (key) => this.#follower?.remove(key));
    this.#follower = bus?.bucket(HOST_STATE).follow((key, entry) => {
      const known = this.#hosts.get(key);
      if (known !== undefined) known.state = entry?.value.host === known.host ? entry.value : undefined;
    });
  }

  /** How long nobody asks this host without a credential, ms; 0: it may be asked. */
  parkedMs(host: string): number {
    const shared = Date.parse(this.#state(host)?.parkedUntil ?? '') || 0;
    return Math.max(0, shared - this.#now(), (this.#ownParks.get(host) ?? 0) - this.#now());
  }

  /** It counts what is asked: by what is known of it, or by its own word. */
  counts(host: string): boolean {
    const state = this.#state(host);
    return knownRegistry(host)?.countsManifests === true || state?.limit !== undefined;
  }

  /** What it says is left, for people: `0 of 100 left`. */
  left(host: string): string | undefined {
    const { limit, remaining } = this.#state(host) ?? {};
    return limit === undefined || remaining === undefined ? undefined : `${remaining} of ${limit} left`;
  }

  /** It limited this node. */
  limited(host: string, retryAfterMs = OWN_PARK_MS): void {
    this.#ownParks.set(host, Math.max(this.#ownParks.get(host) ?? 0, this.#now() + retryAfterMs));
  }

  async stop(): Promise<void> {
    await this.#follower?.stop();
  }

  #state(host: string): HostState | undefined {
    const key = hostStateKey(host);
    const known = this.#hosts.get(key);
    if (known !== undefined) return known.state;
    this.#hosts.set(key, { host });
    this.#follower?.add(key);
    return undefined;
  }
}
