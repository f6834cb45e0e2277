import { loop, type LoopOptions, type Round } from './loop.ts';
import type { Metrics, MetricSpec } from './metrics.ts';
import type { Logger, Part } from './port.ts';

/** The declared metrics of loops; METRICS of the contracts fits. */
export interface LoopMetrics {
  readonly loopFailures: MetricSpec;
  readonly loopSeconds: MetricSpec;
}

/** Metric and log line of a loop's rounds: every round's time, and each failure with when it is tried again. */
export function reportRounds(log: Logger, metrics: Metrics, specs: LoopMetrics): (round: Round) => void {
  const failures = metrics.counter(specs.loopFailures);
  const seconds = metrics.histogram(specs.loopSeconds);
  return ({ loop: name, ms, error, failures: inARow, nextInMs }) => {
    seconds.observe(ms / 1000, { loop: name });
    if (error === undefined) return;
    failures.inc({ loop: name, code: codeOf(error) });
    log.warn('round failed', { loop: name, error, inARow, nextInMs });
  };
}

export interface LoopPartOptions extends Omit<LoopOptions, 'signal' | 'tick'> {
  /** One round; `ending` is aborted when the part closes, and stays usable by work that outlives its round. */
  readonly tick: (signal: AbortSignal, ending: AbortSignal) => ReturnType<LoopOptions['tick']>;
  /** Waited for after the last round. */
  readonly settled?: () => Promise<void>;
}

/** A loop as a part: runs from start to close, and close waits for the round under way. */
export function loopPart({ tick, settled, ...options }: LoopPartOptions): Part {
  const ending = new AbortController();
  let running: Promise<void> | undefined;
  return {
    name: options.name,
    start() {
      running = loop({ ...options, signal: ending.signal, tick: (signal) => tick(signal, ending.signal) });
      return Promise.resolve();
    },
    async close() {
      ending.abort();
      await running;
      await settled?.();
    },
  };
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : 'unexpected';
}
