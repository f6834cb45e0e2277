import { METRICS } from '@kuik/contracts';
import type { Metrics } from '@kuik/runtime';
import type { CopyParts } from './copy-loop.ts';

/** Counts copies and bytes; the progress of those under way is one gauge, their sum. */
export function reportCopies(metrics: Metrics): CopyParts['count'] {
  const copies = metrics.counter(METRICS.copies);
  const seconds = metrics.histogram(METRICS.copySeconds);
  const bytes = metrics.counter(METRICS.copyBytes);
  const progress = metrics.gauge(METRICS.copyProgressBytes);
  const underWay = new Map<string, number>();
  metrics.onCollect(() => progress.set([...underWay.values()].reduce((sum, done) => sum + done, 0)));
  return {
    ended(result, code, took) {
      copies.inc({ result, code });
      seconds.observe(took);
    },
    bytes: (how, count) => bytes.inc({ how }, count),
    progress(jobId, done) {
      if (done === undefined) underWay.delete(jobId);
      else underWay.set(jobId, done);
    },
  };
}
