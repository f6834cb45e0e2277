import { afterEach, describe, expect, it } from '@jest/globals';
import { HealthServer } from './health-server.ts';
import type { NotReady } from './health-server.ts';
import { createMetrics } from './metrics.ts';

const started: HealthServer[] = [];
afterEach(() => Promise.all(started.splice(0).map((server) => server.close())));

async function serve(notReady: () => NotReady[]): Promise<{
  get: (path: string) => Promise<{ status: number; text: string }>;
  metrics: ReturnType<typeof createMetrics>;
}> {
  const metrics = createMetrics({ service: 'test', defaults: false });
  const server = new HealthServer({
    host: '127.0.0.1',
    port: 0,
    metrics,
    notReady,
    routes: (router) => void router.get('/admin/x', (_, response) => void response.send('mine')),
  });
  started.push(server);
  await server.start();
  const get = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  return { get, metrics };
}

describe('HealthServer', () => {
  it('tells readiness with its reasons', async () => {
    const reasons: NotReady[] = [{ part: 'pods', reason: 'not synced' }];
    const { get } = await serve(() => reasons);
    expect(await get('/healthz')).toEqual({ status: 200, text: '{"status":"ok"}' });
    expect(await get('/readyz')).toEqual({
      status: 503,
      text: '{"ready":false,"notReady":[{"part":"pods","reason":"not synced"}]}',
    });
    reasons.pop();
    expect(await get('/readyz')).toEqual({ status: 200, text: '{"ready":true,"notReady":[]}' });
  });

  it('serves metrics and mounted routes', async () => {
    const { get, metrics } = await serve(() => []);
    const spec = { name: 'kuik_test_total', help: 'x', labels: ['result'] } as const;
    metrics.counter(spec).inc({ result: 'ok' });
    metrics.counter(spec).inc({ result: 'ok' }, 2);
    const gauge = metrics.gauge({ name: 'kuik_test_age', help: 'x' });
    metrics.onCollect(() => gauge.set(7));
    metrics.onCollect(() => Promise.reject(new Error('one collector fails')));
    const { text } = await get('/metrics');
    expect(text).toContain('kuik_test_total{result="ok"} 3');
    expect(text).toContain('kuik_test_age 7');
    expect(text).toMatch(/kuik_build_info\{service="test",version="dev"/);
    expect((await get('/admin/x')).text).toBe('mine');
    expect((await get('/else')).status).toBe(404);
  });

  it('frees its port, open connections or not', async () => {
    const { get } = await serve(() => []);
    await get('/healthz');
    await started[0]!.close();
    await started[0]!.close();
    await expect(get('/healthz')).rejects.toThrow();
  });
});
