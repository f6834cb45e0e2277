import { METRICS, METRICS_V1 } from '@kuik/contracts';
import type { Metrics } from '@kuik/runtime';
import type { CopyParts } from './copy-loop.ts';

/** Counts copies and bytes; the progress of those under way is one gauge, their sum. */
export function reportCopies(metrics: Metrics): CopyParts['count'] {
  const copies = metrics.counter(METRICS.copies);
  const seconds = metrics.histogram(METRICS.copySeconds);
  const bytes = metrics.counter(METRICS.copyBytes);
  const progress = metrics.gauge(METRICS.copyProgressBytes);
  const requestsV1 = metrics.counter(METRICS_V1.cachingRequests);
  const putV1 = metrics.counter(METRICS_V1.putInCache);
  const underWay = new Map<string, number>();
  metrics.onCollect(() => progress.set([...underWay.values()].reduce((sum, done) => sum + done, 0)));
  return {
    ended(result, code, host, took) {
      copies.inc({ result, code });
      seconds.observe(took);
      if (result === 'skipped') return;
      const worked = result === 'copied';
      requestsV1.inc({ successful: String(worked), upstream_registry: host });
      if (worked) putV1.inc();
    },
    bytes: (how, count) => bytes.inc({ how }, count),
    progress(jobId, done) {
      if (done === undefined) underWay.delete(jobId);
      else underWay.set(jobId, done);
    },
  };
}
