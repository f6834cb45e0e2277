import { needs, SERVICES, type ServiceName } from '@kuik/contracts';
import { until, WaitTimeout, type ServiceProcess } from '@kuik/testbed';
import { readMetric } from './metric.ts';

const ELECTED_WITHIN_MS = 5_000;

/** Which process leads, for each service that elects a leader; one that has none within a moment is missing. */
export async function leadersOf(
  services: Readonly<Record<ServiceName, readonly ServiceProcess[]>>,
): Promise<ReadonlyMap<string, string>> {
  const leaders = new Map<string, string>();
  await Promise.all(
    SERVICES.filter((service) => needs(service, 'lease')).map(async (service) => {
      const leader = await leaderAmong(service, services[service]);
      if (leader !== undefined) leaders.set(service, leader);
    }),
  );
  return leaders;
}

async function leaderAmong(service: string, replicas: readonly ServiceProcess[]): Promise<string | undefined> {
  const look = async (): Promise<string | undefined> => {
    for (const { name, metricsUrl } of replicas) if ((await readMetric(metricsUrl, 'kuik_leader')) === 1) return name;
    return undefined;
  };
  try {
    return await until(look, { timeoutMs: ELECTED_WITHIN_MS, everyMs: 50, what: `a leader of ${service}` });
  } catch (error) {
    if (error instanceof WaitTimeout) return undefined;
    throw error;
  }
}
