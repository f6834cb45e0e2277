import { describe, expect, it } from '@jest/globals';
import { createMetrics, silentLogger } from '@kuik/runtime';
import { newRecord, PullLog, type PullRecord } from './pull-record.ts';

describe("kuik v1's counter of pulls", () => {
  const counted = async (...records: Partial<PullRecord>[]) => {
    const metrics = createMetrics({ service: 'node-proxy', defaults: false });
    const log = new PullLog(silentLogger, metrics, () => 0);
    for (const record of records) log.ended({ ...newRecord('r', 'GET', 0), status: 200, ...record }, true);
    const lines = (await metrics.render()).split('\n');
    return lines.filter((line) => line.startsWith('kube_image_keeper_proxy_http_requests_total{'));
  };

  it('says which registry, with what, and whether the cache had it', async () => {
    expect(
      await counted(
        { host: 'docker.io', origin: 'cache' },
        { host: 'docker.io', origin: 'memory' },
        { host: 'quay.io', origin: 'upstream', status: 404 },
        { kind: 'base' },
      ),
    ).toEqual([
      'kube_image_keeper_proxy_http_requests_total{registry="docker.io",statusCode="200",cacheHit="true"} 2',
      'kube_image_keeper_proxy_http_requests_total{registry="quay.io",statusCode="404",cacheHit="false"} 1',
    ]);
  });

  it('does not grow with every name that somebody makes up', async () => {
    const made = Array.from({ length: 300 }, (_, index) => ({ host: `r${index}.example.test` }));
    const lines = await counted(...made, { host: 'r0.example.test' });
    expect(lines).toHaveLength(101);
    expect(lines[0]).toMatch(/registry="r0\.example\.test".* 2$/);
    expect(lines.at(-1)).toMatch(/registry="other".* 200$/);
  });
});
