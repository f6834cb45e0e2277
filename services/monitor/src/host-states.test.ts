import { describe, expect, it } from '@jest/globals';
import type { KnownQuota } from '@kuik/queue';
import { at, NOW } from './fixtures.ts';
import { byHost, hostStateOf, saysTheSame } from './host-states.ts';

const quota = (remaining: number, sinceMinutes = 0): KnownQuota => ({
  limit: 100,
  remaining,
  windowSeconds: 3_600,
  atMs: NOW,
  sinceMs: NOW + sinceMinutes * 60_000,
});
const host = 'docker.io';
const parked = { parkedUntilMs: NOW + 60_000, why: 'KUIK-REG-429' };

it('a host comes where the newest word about any of its payers does', () => {
  const facts = [{ host: 'a', account: 'old' }, { host: 'b' }, { host: 'a' }].map((payer) => ({
    ...payer,
    quotas: [],
  }));
  expect([...byHost(facts)].map(([name, payers]) => [name, payers.length])).toEqual([
    ['b', 1],
    ['a', 2],
  ]);
});

describe('hostStateOf', () => {
  it.each([
    ['nothing to tell', [{ host, quotas: [] }], undefined],
    ['a park', [{ host, quotas: [], ...parked }], { host, parkedUntil: at(1), why: 'KUIK-REG-429' }],
    ['a park that is over', [{ host, quotas: [], parkedUntilMs: NOW, why: 'x' }], undefined],
    [
      'the quota with least left, and when it is whole again',
      [{ host, quotas: [quota(50), quota(7, -20)] }],
      { host, limit: 100, remaining: 7, resetAt: at(40) },
    ],
    ['a window that is over', [{ host, quotas: [quota(0, -60)] }], undefined],
    ['a park of somebody in particular', [{ host, account: 'a', quotas: [], ...parked }], undefined],
    [
      'what is left for strangers, not for somebody in particular',
      [
        { host, account: 'a', quotas: [quota(1)] },
        { host, quotas: [quota(50)], ...parked },
      ],
      { host, parkedUntil: at(1), why: 'KUIK-REG-429', limit: 100, remaining: 50, resetAt: at(60) },
    ],
    [
      'that it counts, by the word it gave somebody',
      [{ host, account: 'a', quotas: [quota(1)] }],
      { host, limit: 100 },
    ],
  ])('%s', (_, facts, expected) => {
    expect(hostStateOf(host, facts, NOW)).toEqual(expected);
  });
});

it('is told again when it changed by more than clocks do', () => {
  const state = { host, remaining: 5, limit: 9, parkedUntil: at(1) };
  expect(saysTheSame(state, { ...state, parkedUntil: new Date(NOW + 61_000).toISOString() })).toBe(true);
  expect(saysTheSame(state, { ...state, parkedUntil: at(2) })).toBe(false);
  expect(saysTheSame(state, { ...state, remaining: 4 })).toBe(false);
  expect(saysTheSame({ host, remaining: 5, limit: 9 }, state)).toBe(false);
  expect(saysTheSame(undefined, state)).toBe(false);
});
