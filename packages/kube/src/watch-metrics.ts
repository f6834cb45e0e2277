import { METRICS, type MetricSpec } from '@kuik/contracts';
import type { ReflectorEvent } from './port.ts';

interface Counters {
  counter(spec: MetricSpec): { inc(labels: Record<string, string>, by?: number): void };
}

/** Counts the lists and watches that begin, and what a list repaired. */
export function watchMetrics(metrics: Counters): (event: ReflectorEvent) => void {
  const restarts = metrics.counter(METRICS.watchRestarts);
  const repairs = metrics.counter(METRICS.resyncRepairs);
  return (event) => {
    if (event.kind !== 'list' && event.kind !== 'watch') return;
    restarts.inc({ resource: event.resource, why: event.why });
    if (event.kind === 'list' && event.repaired > 0) repairs.inc({ what: event.resource }, event.repaired);
  };
}
