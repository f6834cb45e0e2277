import { METRICS } from '@kuik/contracts';
import type { Logger, Metrics, Round } from '@kuik/runtime';

/** Metric and log line of a loop's rounds: every round's time, and each failure with when it is tried again. */
export function reportRounds(log: Logger, metrics: Metrics): (round: Round) => void {
  const failures = metrics.counter(METRICS.loopFailures);
  const seconds = metrics.histogram(METRICS.loopSeconds);
  return ({ loop, ms, error, failures: inARow, nextInMs }) => {
    seconds.observe(ms / 1000, { loop });
    if (error === undefined) return;
    failures.inc({ loop, code: codeOf(error) });
    log.warn('round failed', { loop, error, inARow, nextInMs });
  };
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unexpected';
}
