import { buildInfoV1, METRICS, METRICS_V1, PHASES } from '@kuik/contracts';
import { type FollowedConfigMap, type Leadership, type ReflectorEvent, watchMetrics } from '@kuik/kube';
import type { Metrics } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import { EXPIRY_STATES, expiryState } from './expiry-state.ts';
import type { Step } from './next-step.ts';
import { isOrphaned } from './upstream-view.ts';
import { talliesOf } from './view-tallies.ts';
import type { Watches } from './watches.ts';

/** The metrics of this service, as the narrow functions that its parts are handed. */
export interface MetricReports {
  readonly reflector: (event: ReflectorEvent) => void;
  /** Entries of the state bucket that a full pass found wrong. */
  readonly statesRepaired: (entries: number) => void;
  readonly step: (step: Step) => void;
  readonly fight: (result: string) => void;
  readonly broker: (requester: string, result: string) => void;
  readonly access: (verdict: string, reason: string) => void;
  readonly pullGrant: (result: string) => void;
  readonly provider: (provider: string, result: string) => void;
  readonly loopFailed: (loop: string, error: unknown) => void;
}

export function reportMetrics(metrics: Metrics): MetricReports {
  const watched = watchMetrics(metrics);
  const repairs = metrics.counter(METRICS.resyncRepairs);
  const intents = metrics.counter(METRICS.intents);
  const fights = metrics.counter(METRICS.ownerFights);
  const requests = metrics.counter(METRICS.brokerRequests);
  const verdicts = metrics.counter(METRICS.accessVerdicts);
  const grants = metrics.counter(METRICS.pullGrants);
  const logins = metrics.counter(METRICS.providerLogins);
  const failures = metrics.counter(METRICS.loopFailures);
  return {
    reflector: (event) => {
      watched(event);
      if (event.kind === 'error') failures.inc({ loop: `watch-${event.resource}`, code: codeOf(event.error) });
    },
    statesRepaired: (entries) => repairs.inc({ what: 'image-state' }, entries),
    step: (step) => intents.inc({ step: step.do, reason: step.reason }),
    fight: (result) => fights.inc({ result }),
    broker: (requester, result) => requests.inc({ requester, result }),
    access: (verdict, reason) => verdicts.inc({ verdict, reason }),
    pullGrant: (result) => grants.inc({ result }),
    provider: (provider, result) => logins.inc({ provider, result }),
    loopFailed: (loop, error) => failures.inc({ loop, code: codeOf(error) }),
  };
}

export interface GaugeSources {
  readonly view: ClusterView;
  readonly watches: Pick<Watches, 'state'>;
  readonly sparedOwners: Pick<FollowedConfigMap, 'current'>;
  readonly now: () => number;
}

/** Gauges that are read at each scrape; of phases, repositories and containers only what changed since the last one is looked at. */
export function reportGauges(metrics: Metrics, { view, watches, sparedOwners, now }: GaugeSources): void {
  const objects = metrics.gauge(METRICS.watchObjects);
  const contact = metrics.gauge(METRICS.watchContactSeconds);
  const known = metrics.gauge(METRICS.watchKnown);
  const phases = metrics.gauge(METRICS.cachedImages);
  const expiring = metrics.gauge(METRICS.expiryQueue);
  const holders = metrics.gauge(METRICS.holders);
  const spared = metrics.gauge(METRICS.sparedOwners);
  const orphaned = metrics.gauge(METRICS.orphaned);
  const imagesV1 = metrics.gauge(METRICS_V1.cachedImages);
  const repositoriesV1 = metrics.gauge(METRICS_V1.repositories);
  const containersV1 = metrics.gauge(METRICS_V1.containers);
  const tallies = talliesOf(view);
  metrics.onCollect(() => {
    for (const { resource, objects: count, contactAgeMs, synced } of watches.state()) {
      objects.set(count, { resource });
      known.set(synced ? 1 : 0, { resource });
      if (Number.isFinite(contactAgeMs)) contact.set(contactAgeMs / 1000, { resource });
    }
    const byPhase = new Map<string, number>(PHASES.map((phase) => [phase, 0]));
    for (const { labels, sum } of tallies.images.sums()) {
      imagesV1.set(sum, labels);
      byPhase.set(labels.status, (byPhase.get(labels.status) ?? 0) + sum);
    }
    for (const [phase, count] of byPhase) phases.set(count, { phase });
    for (const { labels, sum } of tallies.repositories.sums()) repositoriesV1.set(sum, labels);
    for (const { labels, sum } of tallies.containers.sums()) containersV1.set(sum, labels);
    const queue = new Map<string, number>(EXPIRY_STATES.map((state) => [state, 0]));
    let orphans = 0;
    for (const image of view.images.values()) {
      if (isOrphaned(image)) orphans += 1;
      const state = expiryState(image, now());
      if (state !== undefined) queue.set(state, queue.get(state)! + 1);
    }
    orphaned.set(orphans);
    spared.set(Object.keys(sparedOwners.current()?.data ?? {}).length);
    for (const [state, count] of queue) expiring.set(count, { state });
    for (const [kind, count] of view.usage.holdsByKind()) holders.set(count, { kind });
  });
}

/** What kuik v1 said of its controllers. */
export function reportControllerV1(
  metrics: Metrics,
  leadership: Pick<Leadership, 'isLeader'>,
  version: string | undefined,
): void {
  metrics.gauge(METRICS_V1.controllerBuildInfo).set(1, buildInfoV1(version));
  metrics.gauge(METRICS_V1.controllerUp).set(1);
  const leader = metrics.gauge(METRICS_V1.controllerLeader);
  metrics.onCollect(() => leader.set(leadership.isLeader() ? 1 : 0));
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unexpected';
}
