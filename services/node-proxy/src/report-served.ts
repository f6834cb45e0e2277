import type { Bus } from '@kuik/bus';
import { METRICS, type MissingContent } from '@kuik/contracts';
import { loop, type Part, type ServiceContext } from '@kuik/runtime';
import { ServedReport, type ServedTally } from './served-report.ts';

export interface ReportServedOptions {
  readonly served: ServedTally;
  /** What the cache turned out not to have since it was last asked. */
  readonly missing: () => MissingContent[];
  /** Absent: nobody is told. */
  readonly bus: Bus | undefined;
  readonly node: string;
  readonly everyMs: number;
}

/** Once a minute, and once more at the end: what was served, and what the cache did not have. */
export function reportServed(
  { served, missing, bus, node, everyMs }: ReportServedOptions,
  { log, metrics, clock }: ServiceContext,
): Part {
  const ending = new AbortController();
  const failures = metrics.counter(METRICS.loopFailures);
  const report = bus === undefined ? undefined : new ServedReport(served, bus, node);
  const send = async (): Promise<void> => {
    if (bus?.status() === 'connected') await report?.send(clock.now(), missing());
  };
  let running: Promise<void> = Promise.resolve();
  return {
    name: 'served-report',
    start() {
      running = loop({
        name: 'served',
        signal: ending.signal,
        everyMs,
        tick: send,
        onRound: ({ error }) => {
          if (error === undefined) return;
          failures.inc({ loop: 'served', code: (error as { code?: string }).code ?? 'unexpected' });
          log.warn('report of what was served was not taken', { error });
        },
      });
      return Promise.resolve();
    },
    async close() {
      ending.abort();
      await running;
      await send().catch(() => undefined);
    },
  };
}
