import { describe, expect, it } from '@jest/globals';
import type { Verdict } from './port.ts';
import { Reports } from './reports.ts';
import { settle } from './settle.ts';

describe('settle', () => {
  const fits = { ok: true, value: 'payload' } as const;
  const ack = { do: 'ack' } as const;
  const retry = { do: 'retry', afterMs: 5, reason: 'later' } as const;

  it.each<
    [string, number, { ok: true; value: string } | { ok: false; reason: string }, Verdict | Error, Verdict, string]
  >([
    ['acknowledges', 1, fits, ack, ack, 'acknowledged'],
    ['retries', 2, fits, retry, retry, 'retried'],
    ['retries after an error', 2, fits, new Error('a bug'), { do: 'retry', afterMs: 2000, reason: 'a bug' }, 'retried'],
    ['refuses', 1, fits, { do: 'refuse', reason: 'no' }, { do: 'refuse', reason: 'no' }, 'dead'],
    [
      'gives up after the last delivery',
      3,
      fits,
      retry,
      { do: 'refuse', reason: 'later (after 3 deliveries)' },
      'dead',
    ],
    ['takes the last delivery when it works', 3, fits, ack, ack, 'acknowledged'],
    ['never handles one past the last', 4, fits, ack, { do: 'refuse', reason: 'delivered 4 times' }, 'dead'],
    [
      'refuses what does not fit',
      1,
      { ok: false, reason: 'node: required' },
      ack,
      { do: 'refuse', reason: 'does not fit: node: required' },
      'dead',
    ],
  ])('%s', async (_, attempt, decoded, verdict, expected, fate) => {
    const fates: string[] = [];
    const reports = new Reports({ count: (subject, counted) => fates.push(`${counted} ${subject}`) });
    const onMessage = (): Promise<Verdict> =>
      verdict instanceof Error ? Promise.reject(verdict) : Promise.resolve(verdict);
    expect(await settle({ subject: 's', attempt, maxDeliver: 3, decoded, onMessage, reports })).toEqual(expected);
    expect(fates).toEqual([`${fate} s`]);
  });

  it('tells each kind of trouble once per subject', () => {
    const told: string[] = [];
    const log = {
      debug: () => undefined,
      info: () => undefined,
      warn: (message: string) => void told.push(message),
      error: () => undefined,
    };
    const reports = new Reports({ log });
    for (const subject of ['a', 'a', 'b']) reports.trouble(subject, 'invalid', subject);
    expect(told).toEqual(['a', 'b']);
  });
});
