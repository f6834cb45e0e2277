import { describe, expect, it } from '@jest/globals';
import { parseRule } from './parse-rule.ts';

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
