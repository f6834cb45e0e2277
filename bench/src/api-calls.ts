import type { ServiceProcess } from '@kuik/testbed';

/** Calls to the API server by `service verb resource`. */
export type ApiCalls = ReadonlyMap<string, number>;

const SAMPLE = /^kuik_kube_calls_total\{(.*)\} (\S+)$/gm;

/**
 * Calls of our services so far, as their own metrics count them; those that keep Leases alive are left out: they go by time, not by what
 * there is to do.
 */
export async function apiCalls(services: readonly ServiceProcess[]): Promise<ApiCalls> {
  const counts = new Map<string, number>();
  const texts = await Promise.all(services.map(async ({ metricsUrl }) => (await fetch(metricsUrl)).text()));
  for (const [index, { service }] of services.entries()) {
    for (const [, labels, value] of texts[index]!.matchAll(SAMPLE)) {
      const [verb, resource] = ['verb', 'resource'].map((name) => new RegExp(`${name}="([^"]*)"`).exec(labels!)?.[1]);
      if (resource === 'leases') continue;
      const key = `${service} ${verb} ${resource}`;
      counts.set(key, (counts.get(key) ?? 0) + Number(value));
    }
  }
  return counts;
}

/** What was called between two looks, most often first. */
export function callsBetween(before: ApiCalls, after: ApiCalls): [call: string, times: number][] {
  return [...after]
    .map(([call, times]): [string, number] => [call, times - (before.get(call) ?? 0)])
    .filter(([, times]) => times > 0)
    .sort(([, a], [, b]) => b - a);
}
