import { METRICS, PHASES } from '@kuik/contracts';
import type { ReflectorEvent } from '@kuik/kube';
import type { Metrics } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import { EXPIRY_STATES, expiryState } from './expiry-state.ts';
import type { Step } from './next-step.ts';
import type { Watches } from './watches.ts';

/** The metrics of this service, as the narrow functions that its parts are handed. */
export interface MetricReports {
  readonly reflector: (event: ReflectorEvent) => void;
  readonly step: (step: Step) => void;
  readonly broker: (requester: string, result: string) => void;
  readonly loopFailed: (loop: string, error: unknown) => void;
}

export function reportMetrics(metrics: Metrics): MetricReports {
  const restarts = metrics.counter(METRICS.watchRestarts);
  const intents = metrics.counter(METRICS.intents);
  const requests = metrics.counter(METRICS.brokerRequests);
  const failures = metrics.counter(METRICS.loopFailures);
  return {
    reflector: (event) => {
      if (event.kind === 'list' || event.kind === 'watch') restarts.inc({ resource: event.resource, why: event.why });
      if (event.kind === 'error') failures.inc({ loop: `watch-${event.resource}`, code: codeOf(event.error) });
    },
    step: (step) => intents.inc({ step: step.do, reason: step.reason }),
    broker: (requester, result) => requests.inc({ requester, result }),
    loopFailed: (loop, error) => failures.inc({ loop, code: codeOf(error) }),
  };
}

/** Gauges that are read from the view at each scrape. */
export function reportGauges(
  metrics: Metrics,
  { view, watches, now }: { view: ClusterView; watches: Watches; now: () => number },
): void {
  const objects = metrics.gauge(METRICS.watchObjects);
  const contact = metrics.gauge(METRICS.watchContactSeconds);
  const known = metrics.gauge(METRICS.watchKnown);
  const images = metrics.gauge(METRICS.cachedImages);
  const expiring = metrics.gauge(METRICS.expiryQueue);
  const holders = metrics.gauge(METRICS.holders);
  metrics.onCollect(() => {
    for (const { resource, objects: count, contactAgeMs, synced } of watches.state()) {
      objects.set(count, { resource });
      known.set(synced ? 1 : 0, { resource });
      if (Number.isFinite(contactAgeMs)) contact.set(contactAgeMs / 1000, { resource });
    }
    const phases = new Map<string, number>(PHASES.map((phase) => [phase, 0]));
    const queue = new Map<string, number>(EXPIRY_STATES.map((state) => [state, 0]));
    for (const image of view.images.values()) {
      const phase = image.status?.phase ?? 'Waiting';
      phases.set(phase, (phases.get(phase) ?? 0) + 1);
      const state = expiryState(image, now());
      if (state !== undefined) queue.set(state, queue.get(state)! + 1);
    }
    for (const [state, count] of queue) expiring.set(count, { state });
    for (const [phase, count] of phases) images.set(count, { phase });
    for (const [kind, count] of view.usage.holdsByKind()) holders.set(count, { kind });
  });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unexpected';
}
