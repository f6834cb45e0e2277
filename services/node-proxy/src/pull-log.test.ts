import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { createLogger, createMetrics, silentLogger } from '@kuik/runtime';
import { PullLog } from './pull-log.ts';
import { newRecord, type PullRecord } from './pull-record.ts';

const STOPPED = { now: () => 0, monotonic: () => 0 };

describe("kuik v1's counter of pulls", () => {
  const counted = async (...records: Partial<PullRecord>[]) => {
    const metrics = createMetrics({ service: 'node-proxy', defaults: false });
    const log = new PullLog(silentLogger, metrics, STOPPED);
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

describe('PullLog', () => {
  afterEach(() => void jest.useRealTimers());

  const told = () => {
    const lines: { time: string; requestId: string; ms: number }[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as (typeof lines)[number]);
    const clock = { nowMs: 0, now: () => 1_000_000 + clock.nowMs, monotonic: () => clock.nowMs };
    const metrics = createMetrics({ service: 'node-proxy', defaults: false });
    const log = new PullLog(createLogger({ service: 'node-proxy', write }), metrics, clock);
    const ended = (
      id: string,
      atMs: number,
      { complete = true, ...known }: Partial<PullRecord> & { complete?: boolean } = {},
    ): void => {
      clock.nowMs = atMs;
      log.ended({ ...newRecord(id, 'GET', 1), status: 200, ...known }, complete);
    };
    return { lines, clock, log, metrics, ended };
  };

  it('tells of what ended meanwhile together, each with the time at which it ended', () => {
    const { lines, clock, log, ended } = told();
    ended('a', 5);
    ended('b', 7);
    expect(lines).toEqual([]);
    clock.nowMs = 55;
    log.tell();
    log.tell();
    expect(lines.map(({ requestId, time, ms }) => [requestId, time, ms])).toEqual([
      ['a', '1970-01-01T00:16:40.005Z', 4],
      ['b', '1970-01-01T00:16:40.007Z', 6],
    ]);
  });

  it.each([
    ['a body that broke', { complete: false }],
    ['what failed', { code: 'KUIK-REG-503', status: 503 }],
  ])('tells at once of %s, behind what ended before it', (_what, last) => {
    const { lines, ended } = told();
    ended('a', 5);
    ended('b', 7, last);
    expect(lines.map(({ requestId }) => requestId)).toEqual(['a', 'b']);
  });

  it('keeps no more than a few', () => {
    const { lines, log, ended } = told();
    for (let at = 0; at < 100; at += 1) ended(`r${at}`, at);
    expect(lines).toHaveLength(64);
    log.tell();
    expect(lines).toHaveLength(100);
  });

  it('is counted whole when it is asked for', async () => {
    const { metrics, ended } = told();
    ended('a', 5, { bytes: 7, origin: 'cache' });
    expect(await metrics.render()).toMatch(/kuik_proxy_bytes_total\{origin="cache"\} 7/);
  });

  it('says by itself, a moment later, what nobody asked for', () => {
    jest.useFakeTimers();
    const { lines, ended } = told();
    ended('a', 5);
    jest.advanceTimersByTime(50);
    expect(lines).toHaveLength(1);
  });
});
