import { METRICS, PHASES } from '@kuik/contracts';
import type { ReflectorEvent } from '@kuik/kube';
import type { Metrics } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
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
export function reportGauges(metrics: Metrics, { view, watches }: { view: ClusterView; watches: Watches }): void {
  const objects = metrics.gauge(METRICS.watchObjects);
  const contact = metrics.gauge(METRICS.watchContactSeconds);
  const images = metrics.gauge(METRICS.cachedImages);
  const holders = metrics.gauge(METRICS.holders);
  metrics.onCollect(() => {
    for (const { resource, objects: count, contactAgeMs } of watches.state()) {
      objects.set(count, { resource });
      if (Number.isFinite(contactAgeMs)) contact.set(contactAgeMs / 1000, { resource });
    }
    const phases = new Map<string, number>(PHASES.map((phase) => [phase, 0]));
    for (const { status } of view.images.values()) {
      const phase = status?.phase ?? 'Waiting';
      phases.set(phase, (phases.get(phase) ?? 0) + 1);
    }
    for (const [phase, count] of phases) images.set(count, { phase });
    holders.set(view.usage.holds);
  });
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unexpected';
}
