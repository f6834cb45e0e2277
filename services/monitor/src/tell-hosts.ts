import type { Bucket } from '@kuik/bus';
import { ERROR_CODES, hostStateKey, METRICS, type HostState, type UpstreamTold } from '@kuik/contracts';
import type { Leadership } from '@kuik/kube';
import { resetAtOf, scarcest, type PayerFacts, type Pacer } from '@kuik/queue';
import type { Clock, Metrics } from '@kuik/runtime';
import { byHost, hostStateOf, saysTheSame } from './host-states.ts';

export interface TellHostsOptions {
  readonly pacer: Pick<Pacer, 'facts' | 'told' | 'spent' | 'limited'>;
  readonly bucket: Pick<Bucket<HostState>, 'put' | 'delete' | 'keys'>;
  readonly leadership: Pick<Leadership, 'isLeader'>;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

/** Registries that metrics name: anybody may name one in a pod, and registries may say what they like. */
const NAMED_MAX = 100;

/**
 * The one who knows registries for those who have no Redis: folds in what nodes met, tells them what everybody together knows, shows it
 * as gauges. The leader's part; a replica that does not lead says nothing.
 */
export class TellHosts {
  readonly #options: TellHostsOptions;
  /** What the bucket holds, by host; undefined until this term has looked. */
  #told: Map<string, HostState> | undefined;

  constructor(options: TellHostsOptions) {
    this.#options = options;
  }

  /** What one node met upstream. Never throws. */
  async heard({ hosts }: UpstreamTold): Promise<void> {
    const { pacer, leadership } = this.#options;
    if (!leadership.isLeader()) return;
    for (const { host, account, requests, quotas, limited } of hosts) {
      const payer = { host, account };
      for (const word of quotas) await pacer.told(payer, word);
      if (requests > 0) await pacer.spent(payer, requests);
      if (limited !== undefined) await pacer.limited(payer, { ...limited, reason: ERROR_CODES.rateLimited.code });
    }
  }

  /** The bucket was made anew, or NATS was away: everything is told again. */
  forget(): void {
    this.#told = undefined;
  }

  /** Tells what changed. Throws QueueError and BusError when Redis or NATS is away: nodes then keep what they know until its time is over. */
  async round(): Promise<void> {
    const { pacer, leadership, clock } = this.#options;
    if (!leadership.isLeader()) {
      this.#told = undefined;
      this.#measure(new Map());
      return;
    }
    const facts = byHost(await pacer.facts());
    this.#measure(facts);
    const now = clock.now();
    const states = [...facts].flatMap(([host, payers]) => hostStateOf(host, payers, now) ?? []);
    const told = this.#told ?? (await this.#begin(states));
    for (const state of states) {
      if (saysTheSame(told.get(state.host), state)) continue;
      await this.#options.bucket.put(hostStateKey(state.host), state);
      told.set(state.host, state);
    }
    const current = new Set(states.map(({ host }) => host));
    for (const host of [...told.keys()].filter((known) => !current.has(known))) {
      await this.#options.bucket.delete(hostStateKey(host));
      told.delete(host);
    }
    this.#told = told;
  }

  /** What an earlier leader told and is true no more goes. */
  async #begin(states: readonly HostState[]): Promise<Map<string, HostState>> {
    const current = new Set(states.map(({ host }) => hostStateKey(host)));
    for (const key of await this.#options.bucket.keys()) if (!current.has(key)) await this.#options.bucket.delete(key);
    return new Map();
  }

  #measure(facts: ReadonlyMap<string, readonly PayerFacts[]>): void {
    const { metrics, clock } = this.#options;
    const now = clock.now();
    const gauges = {
      limit: metrics.gauge(METRICS.quotaLimit),
      remaining: metrics.gauge(METRICS.quotaRemaining),
      refill: metrics.gauge(METRICS.quotaRefill),
      parked: metrics.gauge(METRICS.upstreamParked),
    };
    for (const gauge of Object.values(gauges)) gauge.reset();
    for (const [host, payers] of [...facts].slice(-NAMED_MAX)) {
      const least = scarcest(
        payers.flatMap(({ quotas }) => quotas),
        now,
      );
      if (least?.limit !== undefined) gauges.limit.set(least.limit, { host });
      if (least?.remaining !== undefined) gauges.remaining.set(least.remaining, { host });
      if (least !== undefined) gauges.refill.set(Math.ceil((resetAtOf(least) - now) / 1000), { host });
      for (const identity of ['anonymous', 'credential'] as const) {
        const parked = payers.filter(({ account }) => (account === undefined) === (identity === 'anonymous'));
        const untilMs = Math.max(...parked.map(({ parkedUntilMs = 0 }) => parkedUntilMs));
        if (untilMs > now) gauges.parked.set(Math.ceil((untilMs - now) / 1000), { host, identity });
      }
    }
  }
}
