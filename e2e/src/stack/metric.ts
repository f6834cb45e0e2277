import got from 'got';

/** The value of a metric at a /metrics address: the sum over all label sets that hold these labels, 0 when there is none. */
export async function readMetric(
  url: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const text = await got(url, { timeout: { request: 5_000 }, retry: { limit: 0 } }).text();
  return metricOf(text, name, labels);
}

/** The same, in a text of Prometheus's exposition format. */
export function metricOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (match?.[1] !== name) continue;
    const has = Object.entries(labels).every(([label, value]) => match[2]?.includes(`${label}="${value}"`));
    if (has) sum += Number(match[3]);
  }
  return sum;
}
