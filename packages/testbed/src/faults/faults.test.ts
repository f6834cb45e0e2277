import { describe, expect, it } from '@jest/globals';
import { encodeRepository } from './backing-name.ts';
import { parseRule } from './parse-rule.ts';
import { RequestLog, type Started } from './request-log.ts';
import type { RuleState } from './rule.ts';
import { quotaHeaders, scriptedReply } from './scripted-reply.ts';
import { listedTags } from './tag-overlay.ts';

describe('rules as JSON', () => {
  it.each([
    { host: 'docker.io', fault: { do: 'cut', atByte: 0 } },
    {
      host: '*',
      match: { kind: ['blob', 'manifest'], method: 'GET', repository: 'a/*', reference: '1' },
      fault: { do: 'hang' },
      times: 2,
      after: 1,
    },
    { host: 'a', fault: { do: 'answer', status: 429, retryAfter: 3, retryAfterAsDate: true, headers: { a: 'b' } } },
    { host: 'a', fault: { do: 'headers', set: { a: 'b' }, remove: ['c'] } },
  ])('%j is one', (rule) => {
    expect(parseRule(rule)).toEqual(rule);
  });

  it.each<[unknown, RegExp]>([
    [null, /^rule must be an object/],
    [{ fault: { do: 'hang' } }, /rule\.host must be a string/],
    [{ host: 'a', fault: { do: 'explode' } }, /rule\.fault\.do must be one of latency, answer/],
    [{ host: 'a', fault: { do: 'cut' } }, /rule\.fault \(cut\)\.atByte must be a number/],
    [{ host: 'a', fault: { do: 'cut', atByte: -1 } }, /0 or more/],
    [{ host: 'a', fault: { do: 'cut', atByte: 1, bytes: 2 } }, /rule\.fault\.bytes is unknown; known are do, atByte/],
    [{ host: 'a', fault: { do: 'drip', bytesPerSecond: 0 } }, /use stall or hang/],
    [{ host: 'a', match: { kind: 'blobs' }, fault: { do: 'hang' } }, /rule\.match\.kind must be of ping/],
    [{ host: 'a', match: { kind: [1] }, fault: { do: 'hang' } }, /rule\.match\.kind must be a list of strings/],
    [{ host: 'a', match: { repo: 'x' }, fault: { do: 'hang' } }, /rule\.match\.repo is unknown/],
    [{ host: 'a', fault: { do: 'headers', set: { a: 1 } } }, /an object of strings/],
    [{ host: 'a', fault: { do: 'hang' }, times: '2' }, /rule\.times must be a number/],
  ])('%j is none', (rule, why) => {
    expect(() => parseRule(rule)).toThrow(why);
  });
});

describe('scripted answers', () => {
  it('have a spec-shaped body with the code of the status', () => {
    const reply = scriptedReply({ do: 'answer', status: 403 }, 0);
    expect(JSON.parse(reply.body)).toEqual({
      errors: [{ code: 'DENIED', message: 'requested access to the resource is denied' }],
    });
    expect(reply.headers['content-type']).toBe('application/json');
  });

  it.each([
    [{ retryAfter: 30 }, '30'],
    [{ retryAfter: 30, retryAfterAsDate: true }, 'Thu, 01 Jan 1970 00:01:30 GMT'],
    [{}, undefined],
  ])('Retry-After of %j is %s', (fault, expected) => {
    expect(scriptedReply({ do: 'answer', status: 429, ...fault }, 60_000).headers['retry-after']).toBe(expected);
  });

  it('may be a page of a captive portal, and headers win', () => {
    const reply = scriptedReply({ do: 'answer', status: 200, body: '<html>', headers: { 'X-A': '1' } }, 0);
    expect(reply).toEqual({ status: 200, body: '<html>', headers: { 'content-type': 'text/html', 'x-a': '1' } });
  });

  it('quota headers never go below zero', () => {
    expect(quotaHeaders(100, -3, 21_600)).toEqual({
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': '0;w=21600',
    });
  });
});

describe('the tags list', () => {
  const rule = (reference: string, fault: RuleState['rule']['fault'], repository = 'app'): RuleState => ({
    rule: { id: reference, host: 'h.test', match: { kind: 'manifest-tag', repository, reference }, fault },
    seen: 0,
    applied: 0,
  });
  const list = { host: 'h.test', kind: 'tags', method: 'GET', repository: 'app' } as const;

  it.each<[string, RuleState[], string[]]>([
    ['as it is without rules', [], ['1', '2']],
    ['without a tag that is gone', [rule('1', { do: 'gone' })], ['2']],
    ['without all of them', [rule('*', { do: 'gone' })], []],
    ['with a tag that was made', [rule('3', { do: 'serve', digest: 'sha256:a' })], ['1', '2', '3']],
    ['once with a tag that moved', [rule('1', { do: 'serve', digest: 'sha256:a' })], ['1', '2']],
    [
      'not touched by rules of another repository',
      [rule('1', { do: 'gone' }, 'other'), rule('3', { do: 'serve', digest: 'x' }, 'other')],
      ['1', '2'],
    ],
  ])('%s', (_, rules, tags) => {
    expect(JSON.parse(listedTags(JSON.stringify({ name: 'app', tags: ['2', '1'] }), list, rules))).toEqual({
      name: 'app',
      tags,
    });
  });
});

describe('names in the backing registry', () => {
  it.each([
    ['', 'docker.io', 'library/nginx', 'docker.io/library/nginx'],
    ['lease-1', 'docker.io', 'library/nginx', 'lease-1/docker.io/library/nginx'],
    ['', 'reg.test:5000', 'app', 'reg.test__5000/app'],
    ['', 'reg.test', 'NOT/legal', 'reg.test/NOT/legal'],
  ])('prefix %j, %s, %s', (prefix, host, repository, expected) => {
    expect(encodeRepository(prefix, host, repository)).toBe(expected);
  });
});

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
