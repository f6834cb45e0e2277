import { METRICS } from '@kuik/contracts';
import { OriginBreakers } from '@kuik/registry';
import type { ServiceContext } from '@kuik/runtime';
import type { Config } from './config.ts';

/** Spares the hosts of upstream that do not answer, and tells of it. */
export function upstreamBreakers(
  { upstreamBreaker }: Pick<Config, 'upstreamBreaker'>,
  { log, metrics, clock }: Pick<ServiceContext, 'log' | 'metrics' | 'clock'>,
): OriginBreakers {
  const spared = metrics.counter(METRICS.proxyUpstreamSpared);
  const { failures, open: openMs } = upstreamBreaker;
  const breakers = new OriginBreakers({
    failures,
    openMs,
    now: () => clock.monotonic(),
    onOpen: (origin) => log.warn('upstream does not answer', { origin, sparedMs: openMs }),
    onSpared: () => spared.inc(),
  });
  const open = metrics.gauge(METRICS.proxySparedUpstreams);
  metrics.onCollect(() => open.set(breakers.open));
  return breakers;
}
