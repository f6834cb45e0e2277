import { METRICS } from '@kuik/contracts';
import { OriginBreakers } from '@kuik/registry';
import type { ServiceContext } from '@kuik/runtime';
import type { CopierConfig } from './config.ts';

/** Spares the hosts of upstream that do not answer, for copies and for whoever reads through us, and tells of it. */
export function upstreamBreakers(
  { upstreamBreaker }: Pick<CopierConfig, 'upstreamBreaker'>,
  { log, metrics, clock }: Pick<ServiceContext, 'log' | 'metrics' | 'clock'>,
): OriginBreakers {
  const spared = metrics.counter(METRICS.copyUpstreamSpared);
  const { failures, open: openMs } = upstreamBreaker;
  const breakers = new OriginBreakers({
    failures,
    openMs,
    now: () => clock.monotonic(),
    onOpen: (origin) => log.warn('upstream does not answer', { origin, sparedMs: openMs }),
    onSpared: () => spared.inc(),
  });
  const open = metrics.gauge(METRICS.copySparedUpstreams);
  metrics.onCollect(() => open.set(breakers.open));
  return breakers;
}
