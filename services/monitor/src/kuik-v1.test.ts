import { describe, expect, it } from '@jest/globals';
import { at, DIGEST, imageOf, NOW } from './fixtures.ts';
import { judge } from './judge.ts';
import { schedule } from './schedule.ts';

const HOUR = 3_600_000;
const failed = (code: 'not-found' | 'refused' | 'rate-limited', retryAfterMs?: number) =>
  ({ kind: 'failed', code, message: 'it said so', retryAfterMs }) as const;
const known = () => {
  const upstream = { forUid: 'uid-app', state: 'Available', digest: DIGEST, lastSeen: at(-60) } as const;
  return imageOf({ status: { ...imageOf().status, upstream } });
};

describe('what kuik v1 did wrong', () => {
  it.each(['not-found', 'refused'] as const)(
    "v1 defect: upstream's digest is forgotten when it is not seen (%s)",
    (code) => {
      expect(judge(known(), failed(code), NOW).stanza).toMatchObject({ digest: DIGEST, lastSeen: at(-60) });
    },
  );

  it('v1 defect: an image that is gone upstream is asked for without end', () => {
    const { state, host } = judge(known(), failed('not-found'), NOW);
    // A state of its own, and its registry has done nothing wrong: it is asked again at the pace of checks.
    expect([state, host]).toEqual(['Deleted', { do: 'go-on' }]);
    const plan = (now: number) =>
      schedule(
        {
          images: [{ uid: 'uid-app', host: 'h', seenAt: NOW }],
          policyOf: () => ({ checks: 9, windowMs: HOUR, intervalMs: HOUR }),
          stateOf: () => ({ spent: [] }),
        },
        now,
      )[0]?.now;
    expect([plan(NOW + HOUR - 1), plan(NOW + HOUR)]).toEqual([[], ['uid-app']]);
  });

  it('v1 defect: a registry that limits us is asked on, whatever Retry-After says', () => {
    const { host, stanza } = judge(known(), failed('rate-limited', 17 * 60_000), NOW);
    expect(host).toEqual({ do: 'park', parkMs: 17 * 60_000 });
    expect(stanza.error?.retryAt).toBe(at(17));
  });

  it('v1 defect: nothing bounds how much one registry is asked', () => {
    const images = Array.from({ length: 50 }, (_, n) => ({
      uid: `u${n}`,
      host: n < 40 ? 'a' : 'b',
      seenAt: undefined,
    }));
    const policyOf = () => ({ checks: 6, windowMs: HOUR, intervalMs: HOUR });
    const plan = schedule({ images, policyOf, stateOf: () => ({ spent: [] }) }, NOW);
    expect(plan.map(({ now }) => now.length)).toEqual([6, 6]);
  });
});
