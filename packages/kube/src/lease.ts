import { isKubeError, KubeError, orAbsent } from './kube-error.ts';
import { leaseStep, type LeaseSeen } from './lease-step.ts';
import { pause } from './pause.ts';
import type { KubeObject, Leadership, LeadershipOptions } from './port.ts';
import { LEASES } from './resources.ts';

interface LeaseObject extends KubeObject {
  spec?: { holderIdentity?: string | null; leaseDurationSeconds?: number; leaseTransitions?: number };
}

/** Takes part in the election of one leader by a Lease. The Role needs get, create and patch on it. */
export function createLeadership(options: LeadershipOptions): Leadership {
  return new LeaseElection(options);
}

class LeaseElection implements Leadership {
  readonly #options: LeadershipOptions;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #holdMs: number;
  readonly #listeners: ((leader: boolean) => void)[] = [];
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  /** Monotonic time at which our last successful renewal was *sent*; -Infinity while not holding. */
  #renewedAt = -Infinity;
  #lease: LeaseObject | undefined;
  #last: Omit<LeaseSeen, 'seenForMs'> | undefined;
  #seenAt = 0;
  #told = false;
  #expiry: NodeJS.Timeout | undefined;

  constructor(options: LeadershipOptions) {
    this.#options = options;
    this.#leaseMs = Math.max(Math.ceil((options.leaseMs ?? 15_000) / 1000), 1) * 1000;
    this.#renewMs = options.renewMs ?? this.#leaseMs / 5;
    this.#holdMs = this.#leaseMs - (options.skewMs ?? this.#leaseMs / 5);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  isLeader(): boolean {
    return !this.#stopping.signal.aborted && performance.now() - this.#renewedAt < this.#holdMs;
  }

  assertLeader(): void {
    if (this.isLeader()) return;
    const { name, identity } = this.#options;
    throw new KubeError('conflict', `${identity} does not hold lease "${name}": leave the write to its holder`);
  }

  onChange(listener: (leader: boolean) => void): void {
    this.#listeners.push(listener);
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#tell();
    await this.#running;
    clearTimeout(this.#expiry);
    if (this.#lease?.spec?.holderIdentity !== this.#options.identity) return;
    try {
      // The others need not wait for a holder that says goodbye.
      await this.#patch(this.#lease, { holderIdentity: null, leaseDurationSeconds: 1, renewTime: microTime() });
    } catch (error) {
      this.#options.onError?.(error);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      let waitMs = this.#renewMs;
      try {
        waitMs = Math.min(waitMs, await this.#round());
      } catch (error) {
        if (!isKubeError(error, 'conflict', 'already-exists')) this.#options.onError?.(error);
        // Somebody else wrote it, or nobody knows whether we did: look before the next write.
        await this.#look().catch(() => undefined);
        waitMs /= 2;
      }
      this.#tell();
      await pause(waitMs * (0.9 + Math.random() / 5), signal);
    }
  }

  /** One look and at most one write; returns the time until the next round is due at the latest. */
  async #round(): Promise<number> {
    if (!this.isLeader()) await this.#look();
    const decision = leaseStep(this.#options.identity, this.#lease !== undefined, this.#seen());
    if (decision.step === 'wait') return decision.forMs;
    const sentAt = performance.now();
    await this.#write(decision.step);
    this.#renewedAt = sentAt;
    return this.#renewMs;
  }

  #write(step: 'create' | 'renew' | 'take'): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    const now = microTime();
    const spec = { holderIdentity: identity, leaseDurationSeconds: this.#leaseMs / 1000, renewTime: now };
    if (step === 'create' || this.#lease === undefined) {
      const lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace },
        spec: { ...spec, acquireTime: now, leaseTransitions: 0 },
      };
      return client.create<LeaseObject>(LEASES, lease, { timeoutMs: this.#callMs }).then((made) => this.#saw(made));
    }
    if (step === 'renew') return this.#patch(this.#lease, spec);
    const leaseTransitions = (this.#lease.spec?.leaseTransitions ?? 0) + 1;
    return this.#patch(this.#lease, { ...spec, acquireTime: now, leaseTransitions });
  }

  /** Only on the version that was decided upon: of several candidates one wins. */
  async #patch(lease: LeaseObject, spec: object): Promise<void> {
    const { client, namespace, name } = this.#options;
    const { resourceVersion, uid } = lease.metadata;
    const patch = { metadata: { resourceVersion, uid }, spec };
    this.#saw(await client.mergePatch<LeaseObject>(LEASES, { name, namespace }, patch, { timeoutMs: this.#callMs }));
  }

  async #look(): Promise<void> {
    const { client, namespace, name } = this.#options;
    const timeoutMs = this.#callMs;
    const lease = await orAbsent(client.get<LeaseObject>(LEASES, { name, namespace }, { timeoutMs }));
    if (lease === undefined) this.#forgetObject();
    else this.#saw(lease);
  }

  #saw(lease: LeaseObject): void {
    const known = this.#lease?.metadata;
    if (known?.resourceVersion !== lease.metadata.resourceVersion || known.uid !== lease.metadata.uid) {
      this.#seenAt = performance.now();
    }
    this.#lease = lease;
    this.#last = {
      holder: lease.spec?.holderIdentity ?? '',
      durationMs: (lease.spec?.leaseDurationSeconds ?? 1) * 1000,
    };
    if (this.#last.holder !== this.#options.identity) this.#renewedAt = -Infinity;
  }

  #forgetObject(): void {
    this.#lease = undefined;
    this.#renewedAt = -Infinity;
  }

  #seen(): LeaseSeen | undefined {
    return this.#last === undefined ? undefined : { ...this.#last, seenForMs: performance.now() - this.#seenAt };
  }

  /** A call that hangs must leave time for another one. */
  get #callMs(): number {
    return Math.max(this.#renewMs, 500);
  }

  /** Tells the listeners when leadership came or went, also when it went by time alone. */
  #tell(): void {
    clearTimeout(this.#expiry);
    const leader = this.isLeader();
    if (leader) {
      const leftMs = this.#holdMs - (performance.now() - this.#renewedAt);
      this.#expiry = setTimeout(() => this.#tell(), leftMs + 1);
    }
    if (leader === this.#told) return;
    this.#told = leader;
    for (const listener of this.#listeners) {
      try {
        listener(leader);
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
  }
}

/** RFC 3339 with microseconds, as Lease and Event demand it. */
export function microTime(date = new Date()): string {
  return date.toISOString().replace('Z', '000Z');
}
