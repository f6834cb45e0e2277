import { describe, expect, it } from '@jest/globals';
import { RequestLog, type Started } from './request-log.ts';

describe('the request log', () => {
  const request: Started = {
    atMs: 0,
    host: 'h.test',
    kind: 'blob',
    method: 'GET',
    path: '/',
    auth: 'none',
    headers: [],
  };

  it('counts by host, kind, method and status, and sums', () => {
    const log = new RequestLog();
    for (const status of [200, 200, 404]) {
      const pen = log.arrived(request);
      pen.answered(status);
      pen.sent(10);
    }
    log.arrived({ ...request, kind: 'manifest-tag' });
    expect(log.counts({ kind: 'blob' })).toEqual([
      { host: 'h.test', kind: 'blob', method: 'GET', status: 200, requests: 2, bytes: 20 },
      { host: 'h.test', kind: 'blob', method: 'GET', status: 404, requests: 1, bytes: 10 },
    ]);
    expect(log.total()).toEqual({ requests: 4, bytes: 30 });
    expect(log.total({ kind: 'manifest' })).toEqual({ requests: 1, bytes: 0 });
    expect(log.total({ status: 0 })).toEqual({ requests: 1, bytes: 0 });
    log.reset();
    expect([log.counts(), log.requests()]).toEqual([[], []]);
  });

  it('a request that was open at a reset does not count afterwards', () => {
    const log = new RequestLog();
    const pen = log.arrived(request);
    log.reset();
    pen.answered(200);
    expect(log.total()).toEqual({ requests: 0, bytes: 0 });
  });

  it('remembers the last ones only, but counts all', () => {
    const log = new RequestLog(3);
    for (let i = 0; i < 10; i++) log.arrived({ ...request, path: `/${i}` });
    expect(log.requests().map(({ path }) => path)).toEqual(['/7', '/8', '/9']);
    expect(log.total().requests).toBe(10);
  });

  it('waits for a request, past ones included, and for what becomes of it', async () => {
    const log = new RequestLog();
    const pen = log.arrived(request);
    await expect(log.untilRequest(({ kind }) => kind === 'blob')).resolves.toMatchObject({ status: 0 });
    const answered = log.untilRequest(({ status }) => status === 200);
    pen.answered(200);
    await expect(answered).resolves.toMatchObject({ outcome: 'open' });
    const done = log.untilRequest(({ outcome }) => outcome === 'done');
    pen.ended('done');
    pen.ended('aborted');
    await expect(done).resolves.toMatchObject({ outcome: 'done' });
  });

  it('says what it saw when the wait is over', async () => {
    const log = new RequestLog();
    log.arrived(request).answered(404);
    await expect(log.untilRequest(() => false, 5, 'a token')).rejects.toThrow(
      'waited 0.005 s for a token; seen: 1 x GET blob h.test -> 404',
    );
  });
});
