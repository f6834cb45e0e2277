import {
  ERROR_CODES,
  METRICS,
  stanzaOf,
  UPSTREAM_STATES,
  type CachedImage,
  type UpstreamStanza,
} from '@kuik/contracts';
import type { Reference } from '@kuik/image';
import { isKubeError, type Leadership, type Reflector } from '@kuik/kube';
import { asksForTime, payerKey, type Pacer, type Payer } from '@kuik/queue';
import { backoffMs, wait, type Clock, type Logger, type Metrics } from '@kuik/runtime';
import { candidateOf, watchedReference } from './candidates.ts';
import type { CheckTimes } from './check-times.ts';
import { goneHosts } from './gone-hosts.ts';
import type { HostBudgets } from './host-budgets.ts';
import { judge, type CheckResult } from './judge.ts';
import type { HostPolicy } from './host-policy.ts';
import { ImagePayers } from './image-payers.ts';
import { schedule, type Candidate, type HostSchedule } from './schedule.ts';
import { whatToAsk, type Ask } from './what-to-ask.ts';

export interface MonitorOptions {
  readonly images: Pick<Reflector<CachedImage>, 'values' | 'get' | 'synced'>;
  readonly leadership: Pick<Leadership, 'isLeader' | 'assertLeader'>;
  readonly times: CheckTimes;
  readonly budgets: HostBudgets;
  readonly pacer: Pick<Pacer, 'take' | 'limited' | 'parkedUntil'>;
  /** Who pays for its check. Never throws. */
  readonly payerOf: (reference: Reference) => Promise<Payer>;
  readonly check: (reference: Reference, ask: Ask, signal: AbortSignal) => Promise<CheckResult>;
  readonly record: (image: CachedImage, stanza: UpstreamStanza, signal: AbortSignal) => Promise<void>;
  readonly policyOf: (host: string) => HostPolicy;
  /** Share of a quota that checks leave to others. */
  readonly floor: number;
  /** Registries asked at once; each of them gets one request at a time. */
  readonly hostsAtOnce: number;
  /** Longest time without a look at the list. */
  readonly idleMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const BACKOFF = { firstMs: 60_000, maxMs: 3_600_000 };
/** A pace that is slower than this is a parked host: the next round comes back to it. */
const PACE_WAIT_MAX_MS = 5_000;
const ROUND_MIN_MS = 50;
/** An image that could not be checked for want of a credential is tried again after this long. */
const UNDECIDED_MS = 600_000;
/** Every value of the label `result` of the checks' counter. */
const RESULTS = [...UPSTREAM_STATES, 'Undecided'] as const;

/**
 * Rounds that start what may be checked now. Each registry has a chain of its own, one request at a time, which the round does not wait for: a
 * registry that never answers holds up nobody else.
 */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #chains = new Map<string, Promise<void>>();
  /** Registries that could not be reached, and until when they are left alone. */
  readonly #unreachable = new Map<string, { failures: number; until: number }>();
  /** Registries that the checks' counter names. */
  readonly #counted = new Set<string>();
  /** By which name each image was asked for, or seen, last, by uid. */
  readonly #asked = new Map<string, Ask['by']>();
  readonly #payers: ImagePayers;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#payers = new ImagePayers(options);
  }

  /** Looks at the list once. Returns when to look again. Throws QueueError when Redis is away: unknown times mean no checks. */
  async round(signal: AbortSignal, ending: AbortSignal): Promise<{ afterMs: number }> {
    const { images, leadership, times, budgets, clock, idleMs } = this.#options;
    if (images.synced()) this.#forgetGone();
    if (!leadership.isLeader() || !images.synced()) {
      if (this.#chains.size === 0) {
        times.drop();
        budgets.drop();
      }
      return { afterMs: idleMs };
    }
    const byUid = new Map([...images.values()].map((image) => [image.metadata.uid, image]));
    await times.follow(new Set(byUid.keys()));
    for (const uid of this.#asked.keys()) if (!byUid.has(uid)) this.#asked.delete(uid);
    const hosts = new Set([...byUid.values()].flatMap((image) => watchedReference(image)?.host ?? []));
    await budgets.follow(hosts, clock.now());
    await this.#payers.follow(byUid, hosts);
    signal.throwIfAborted();

    // From here to the chains' start nothing is waited for: a check that ended meanwhile is known, and what it checked is not due again.
    const now = clock.now();
    const candidates = [...byUid.values()].flatMap((image) => {
      const candidate = candidateOf(image, times.at(image.metadata.uid));
      return candidate === undefined ? [] : { ...candidate, notBefore: this.#payers.notBefore(image, candidate.host) };
    });
    const plans = this.#plan(candidates, now);
    this.#measure(byUid.values(), plans);
    for (const plan of plans) {
      if (plan.now.length === 0 || this.#chains.has(plan.host) || this.#chains.size >= this.#options.hostsAtOnce)
        continue;
      const chain = this.#chain(
        plan.host,
        plan.now.map((uid) => byUid.get(uid)!),
        ending,
      );
      this.#chains.set(
        plan.host,
        chain.finally(() => this.#chains.delete(plan.host)),
      );
    }
    const waits = plans.filter(({ host }) => !this.#chains.has(host)).map(({ nextAt }) => (nextAt ?? Infinity) - now);
    return { afterMs: Math.max(ROUND_MIN_MS, Math.min(idleMs, ...waits)) };
  }

  /** Resolves when no check is under way. */
  async settled(): Promise<void> {
    while (this.#chains.size > 0) await Promise.all(this.#chains.values());
  }

  #plan(candidates: readonly Candidate[], now: number): HostSchedule[] {
    const { policyOf, budgets } = this.#options;
    const stateOf = (host: string) => ({
      spent: budgets.spent(host),
      notBefore: this.#unreachable.get(host)?.until,
    });
    return schedule({ images: candidates, policyOf, stateOf }, now);
  }

  /**
   * Checks these images of one registry in order, until it cannot be reached or something of ours fails; those of a payer whom it limits are passed
   * over. Never throws.
   */
  async #chain(host: string, images: readonly CachedImage[], signal: AbortSignal): Promise<void> {
    const { leadership, pacer, budgets, clock, log, floor } = this.#options;
    const resting = new Set<string>();
    const rests = (of: Payer | undefined): boolean => of !== undefined && resting.has(payerKey(of));
    try {
      for (const planned of images) {
        const reference = watchedReference(planned);
        if (reference === undefined) continue;
        if (rests(this.#payers.known(planned))) continue;
        const payer = await this.#payers.of(planned, reference);
        if (rests(payer)) continue;
        const paceMs = await pacer.take(payer, { floor });
        if (paceMs > PACE_WAIT_MAX_MS) {
          // A park the next round sees by itself; of a slow pace it has to know, or it plans the same images before all others again.
          const parked = await pacer.parkedUntil(payer, { floor });
          if (parked === undefined) this.#payers.rest(payer, clock.now() + paceMs);
          resting.add(payerKey(payer));
          continue;
        }
        if (paceMs > 0 && !(await wait(paceMs, signal))) return;
        const image = this.#current(planned);
        if (image === undefined) continue;
        if (signal.aborted || !leadership.isLeader() || !(await budgets.spend(host, clock.now()))) return;
        const next = await this.#one(payer, image, signal);
        if (next === 'leave-host') return;
        if (next === 'leave-payer') resting.add(payerKey(payer));
      }
    } catch (error) {
      if (!signal.aborted) log.warn('checks of a registry ended early', { host, error });
    }
  }

  /** One check, and who is to leave the registry alone after it. */
  async #one(payer: Payer, image: CachedImage, signal: AbortSignal): Promise<'go-on' | 'leave-payer' | 'leave-host'> {
    const { times, check, clock, log, metrics } = this.#options;
    const { host } = payer;
    const result = await this.#parked(payer, await check(...this.#asking(image), signal));
    if (result.kind === 'seen') this.#asked.set(image.metadata.uid, result.by ?? 'tag');
    const now = clock.now();
    const checks = metrics.counter(METRICS.monitorChecks);
    this.#counted.add(host);
    if (result.kind === 'undecided') {
      checks.inc({ host, result: 'Undecided' });
      log.warn('image not checked: no credential could be had', {
        image: image.spec.sourceImage,
        reason: result.message,
      });
      await times.record(image.metadata.uid, now - Math.max(0, this.#options.policyOf(host).intervalMs - UNDECIDED_MS));
      return 'go-on';
    }
    const judgement = judge(image, result, now);
    checks.inc({ host, result: judgement.state });
    log.debug('image checked', { image: image.spec.sourceImage, state: judgement.state });
    if (judgement.record) await this.#record(image, judgement.stanza, signal);
    switch (judgement.host.do) {
      case 'park':
        // Not counted as a check of the image: it has told nothing about it.
        return 'leave-payer';
      case 'back-off': {
        const failures = (this.#unreachable.get(host)?.failures ?? 0) + 1;
        // Between half and all of the step: a full jitter of zero would ask again at once.
        const waitMs = backoffMs(failures, BACKOFF, 0.5 + Math.random() / 2);
        this.#unreachable.set(host, { failures, until: now + waitMs });
        await times.record(image.metadata.uid, now);
        return 'leave-host';
      }
      case 'go-on':
        this.#unreachable.delete(host);
        await times.record(image.metadata.uid, now);
        return 'go-on';
    }
  }

  /** By which name the image is asked for this time. */
  #asking(image: CachedImage): [Reference, Ask] {
    const reference = watchedReference(image)!;
    const { uid } = image.metadata;
    const { resolveDigest } = this.#options.policyOf(reference.host);
    const ask = whatToAsk(image, reference, resolveDigest, this.#asked.get(uid));
    this.#asked.set(uid, ask.by);
    return [reference, ask];
  }

  /**
   * A registry that asks for time is asked no more by whoever it said so to: the result then says for how long. It may have refused the payer's login before
   * and have been asked as by strangers: the login is checked with no more until they may ask.
   */
  async #parked(payer: Payer, result: CheckResult): Promise<CheckResult> {
    const asked = result.kind === 'failed' ? asksForTime(result) : undefined;
    if (result.kind !== 'failed' || asked === undefined) return result;
    const { pacer, clock } = this.#options;
    const { code: reason } = ERROR_CODES.rateLimited;
    const limited: Payer = result.askedAs === undefined ? payer : { host: payer.host, ...result.askedAs };
    const parkedMs = await pacer.limited(limited, { ...asked, reason });
    if (payerKey(limited) !== payerKey(payer)) this.#payers.rest(payer, clock.now() + parkedMs);
    return { ...result, retryAfterMs: Math.max(parkedMs, result.retryAfterMs ?? 0) };
  }

  /** What cannot be written because the API server is away is checked again; what it refuses is told and passed over. */
  async #record(image: CachedImage, stanza: UpstreamStanza, signal: AbortSignal): Promise<void> {
    const { record, leadership, log } = this.#options;
    leadership.assertLeader();
    try {
      await record(image, stanza, signal);
      log.info('upstream recorded', {
        image: image.spec.sourceImage,
        state: stanza.state,
        before: stanzaOf(image, 'upstream')?.state,
        digest: stanza.digest,
        code: stanza.error?.code,
      });
    } catch (error) {
      if (!isKubeError(error) || error.retry || signal.aborted) throw error;
      log.error('upstream cannot be recorded', { image: image.spec.sourceImage, error });
    }
  }

  /** The image as it is now; undefined when there is nothing to check any more. */
  #current(planned: CachedImage): CachedImage | undefined {
    const image = this.#options.images.get({ name: planned.metadata.name });
    if (image?.metadata.uid !== planned.metadata.uid) return undefined;
    return watchedReference(image) === undefined ? undefined : image;
  }

  /** Registries come with images that anybody may name, and go with them: from the counter too, whichever replica counted. */
  #forgetGone(): void {
    const known = [...this.#counted, ...this.#unreachable.keys()].filter((host) => !this.#chains.has(host));
    const checks = this.#options.metrics.counter(METRICS.monitorChecks);
    for (const host of goneHosts(known, this.#options.images.values())) {
      for (const result of RESULTS) checks.remove({ host, result });
      this.#counted.delete(host);
      this.#unreachable.delete(host);
    }
  }

  #measure(images: Iterable<CachedImage>, plans: readonly HostSchedule[]): void {
    const { metrics } = this.#options;
    const due = metrics.gauge(METRICS.monitorDue);
    const left = metrics.gauge(METRICS.monitorBudget);
    due.reset();
    left.reset();
    for (const plan of plans) {
      due.set(plan.due, { host: plan.host });
      left.set(plan.left, { host: plan.host });
    }
    const states = new Map<string, number>(UPSTREAM_STATES.map((state) => [state, 0]));
    for (const image of images) {
      const state = stanzaOf(image, 'upstream')?.state ?? 'Unknown';
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    const gauge = metrics.gauge(METRICS.upstreamImages);
    for (const [state, count] of states) gauge.set(count, { state });
  }
}
