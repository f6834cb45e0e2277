import { METRICS, type MetricSpec, type natsConfig, type ServiceName } from '@kuik/contracts';
import type { z } from 'zod';
import { connectBus } from './nats/nats-bus.ts';
import type { Bus, BusLog } from './port.ts';

/** What a service's process offers the bus: its log and its metrics. */
export interface BusHost {
  readonly log: BusLog;
  readonly metrics: {
    counter(spec: MetricSpec): { inc(labels: Record<string, string>): void };
    gauge(spec: MetricSpec): { set(value: number): void };
    onCollect(collect: () => void): void;
  };
}

/** The bus of a service's configuration, with every message's fate counted and the connection told. Returns at once and connects behind. */
export function openBus(settings: z.output<typeof natsConfig>, service: ServiceName, { log, metrics }: BusHost): Bus {
  const messages = metrics.counter(METRICS.busMessages);
  const connected = metrics.gauge(METRICS.busConnected);
  const bus = connectBus({
    url: settings.url,
    service,
    ...(settings.nkeyFile === undefined ? {} : { seedFile: settings.nkeyFile }),
    log,
    count: (subject, fate) => messages.inc({ subject, fate }),
  });
  metrics.onCollect(() => connected.set(bus.status() === 'connected' ? 1 : 0));
  return bus;
}
