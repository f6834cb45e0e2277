import { describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import fc from 'fast-check';
import { schedule, type Budget, type Candidate } from './schedule.ts';

const HOUR = 3_600_000;
const START = Date.parse('2026-11-20T00:00:00Z');

/** Runs the schedule on a fake clock: each check takes no time. Returns every check in order. */
function simulate(images: readonly Candidate[], budget: Budget, intervalMs: number, untilMs: number) {
  const seenAt = new Map(images.map(({ uid, seenAt: at }) => [uid, at]));
  const hosts = new Map(images.map(({ uid, host }) => [uid, host]));
  const spent = new Map<string, number[]>();
  const checks: { uid: string; host: string; at: number }[] = [];
  let rounds = 0;
  for (let now = START; now < START + untilMs; rounds++) {
    const plan = schedule(
      {
        images: images.map(({ uid, host }) => ({ uid, host, seenAt: seenAt.get(uid) })),
        policyOf: () => ({ ...budget, intervalMs }),
        stateOf: (host) => ({ spent: spent.get(host) ?? [] }),
      },
      now,
    );
    for (const uid of plan.flatMap((host) => host.now)) {
      const host = hosts.get(uid)!;
      seenAt.set(uid, now);
      spent.set(host, [...(spent.get(host) ?? []), now]);
      checks.push({ uid, host, at: now });
    }
    const next = Math.min(...plan.map((host) => host.nextAt ?? Infinity));
    // Nothing is due now that could have been done now.
    expect(next).toBeGreaterThan(now);
    now = next;
  }
  return { checks, rounds };
}

describe('schedule', () => {
  it('checks 2,000 images of one registry at 6 an hour, the longest unasked first, and never a seventh', () => {
    const images = Array.from({ length: 2_000 }, (_, index): Candidate => {
      // An order that is neither that of the uids nor that of the list; every tenth was never asked about.
      const shuffled = (index * 7_919) % 2_000;
      const seenAt = shuffled % 10 === 0 ? undefined : START - HOUR - shuffled * 60_000;
      return { uid: `uid-${String(index).padStart(4, '0')}`, host: 'docker.io', seenAt };
    });
    const expected = [...images]
      .sort((a, b) => (a.seenAt ?? 0) - (b.seenAt ?? 0) || a.uid.localeCompare(b.uid))
      .map(({ uid }) => uid);
    const hours = 400;
    const { checks, rounds } = simulate(images, { checks: 6, windowMs: HOUR }, HOUR, hours * HOUR);

    expect(checks).toHaveLength(6 * hours);
    expect(checks.slice(0, 2_000).map(({ uid }) => uid)).toEqual(expected);
    // The second time round begins with the first again; who was checked at the same moment comes by uid.
    const again = Array.from({ length: 67 }, (_, group) => expected.slice(group * 6, group * 6 + 6).sort()).flat();
    expect(checks.slice(2_000).map(({ uid }) => uid)).toEqual(again.slice(0, 400));
    for (let index = 6; index < checks.length; index++) {
      expect(checks[index]!.at - checks[index - 6]!.at).toBeGreaterThanOrEqual(HOUR);
    }
    expect(rounds).toBe(hours);
  });

  it('gives each registry its own budget', () => {
    const images = Array.from({ length: 30 }, (_, index): Candidate => {
      return { uid: `u${index}`, host: index % 3 === 0 ? 'quay.io' : 'docker.io', seenAt: undefined };
    });
    const { checks } = simulate(images, { checks: 5, windowMs: HOUR }, HOUR, HOUR);
    const count = (host: string) => checks.filter((check) => check.host === host).length;
    expect([count('docker.io'), count('quay.io')]).toEqual([5, 5]);
  });

  it('checks no image more often than its interval, whatever the budget', () => {
    const images = [{ uid: 'only', host: 'h', seenAt: START - HOUR / 2 }];
    const { checks } = simulate(images, { checks: 1_000, windowMs: HOUR }, HOUR, 10 * HOUR);
    expect(checks.map(({ at }) => (at - START) / HOUR)).toEqual([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5]);
  });

  const one = (seenAt: number | undefined, state: { spent?: number[]; notBefore?: number }, checks = 2) =>
    schedule(
      {
        images: [
          { uid: 'a', host: 'h', seenAt },
          { uid: 'b', host: 'h', seenAt: START },
        ],
        policyOf: () => ({ checks, windowMs: HOUR, intervalMs: HOUR }),
        stateOf: () => ({ spent: [], ...state }),
      },
      START,
    )[0];

  it.each<[string, ReturnType<typeof one>, object]>([
    ['never asked about', one(undefined, {}), { now: ['a'], due: 1, left: 2, nextAt: START + HOUR }],
    ['asked the interval ago', one(START - HOUR, {}), { now: ['a'], due: 1 }],
    ['asked less than that ago', one(START - HOUR + 5, {}), { now: [], due: 0, nextAt: START + 5 }],
    ['parked', one(undefined, { notBefore: START + 9 }), { now: [], due: 1, nextAt: START + 9 }],
    ['parked until now', one(undefined, { notBefore: START }), { now: ['a'] }],
    [
      'budget spent',
      one(undefined, { spent: [START - 10, START - 20] }),
      { now: [], left: 0, nextAt: START - 20 + HOUR },
    ],
    ['budget spent long ago', one(undefined, { spent: [START - HOUR, START - HOUR] }), { now: ['a'], left: 2 }],
    ['one left of it', one(undefined, { spent: [START - 10] }), { now: ['a'], left: 1 }],
    [
      'more spent than the budget is now',
      one(undefined, { spent: [START - 3, START - 2, START - 1] }),
      { left: 0, nextAt: START - 2 + HOUR },
    ],
    ['no budget at all', one(undefined, {}, 0), { now: [], left: 0, nextAt: undefined }],
  ])('%s', (_, plan, expected) => {
    expect(plan).toMatchObject(expected);
    if ('nextAt' in expected && expected.nextAt === undefined) expect(plan?.nextAt).toBeUndefined();
  });

  it('passes over 100,000 images whose payers may not ask as fast as it reads them', () => {
    const images = Array.from({ length: 200_000 }, (_, index): Candidate => {
      const parked = index % 2 === 0 ? { notBefore: START + HOUR } : {};
      return { uid: `${index}`, host: 'docker.io', seenAt: undefined, ...parked };
    });
    const policyOf = () => ({ checks: 6, windowMs: HOUR, intervalMs: HOUR });
    const startedMs = performance.now();
    const [plan] = schedule({ images, policyOf, stateOf: () => ({ spent: [] }) }, START);
    expect(plan).toMatchObject({ due: 200_000, nextAt: START + HOUR });
    expect(plan!.now).toHaveLength(6);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it('looks at what weighs more first, without leaving others behind', () => {
    const image = (uid: string, hoursAgo: number | undefined, weight: number): Candidate => ({
      uid,
      host: 'h',
      seenAt: hoursAgo === undefined ? undefined : START - hoursAgo * HOUR,
      weight,
    });
    const images = [
      image('a', 2, 1),
      image('b', 2, 4),
      image('c', 9, 1),
      image('d', undefined, 1),
      image('e', undefined, 4),
    ];
    const [plan] = schedule(
      { images, policyOf: () => ({ checks: 9, windowMs: HOUR, intervalMs: HOUR }), stateOf: () => ({ spent: [] }) },
      START,
    );
    expect(plan?.now).toEqual(['e', 'd', 'c', 'b', 'a']);
  });

  it('never goes beyond a budget, and leaves nobody behind', () => {
    const images = fc.uniqueArray(
      fc.record({
        uid: fc.string({ minLength: 1, maxLength: 4 }),
        host: fc.constantFrom('a', 'b', 'c'),
        seenAt: fc.option(fc.integer({ min: START - 5 * HOUR, max: START }), { nil: undefined }),
      }),
      { selector: ({ uid }) => uid, maxLength: 25 },
    );
    fc.assert(
      fc.property(images, fc.integer({ min: 1, max: 7 }), (candidates, checks) => {
        const { checks: made } = simulate(candidates, { checks, windowMs: HOUR }, HOUR, 30 * HOUR);
        for (const host of ['a', 'b', 'c']) {
          const times = made.filter((check) => check.host === host).map(({ at }) => at);
          times.forEach((time, index) => {
            const before = times[index - checks];
            if (before !== undefined) expect(time - before).toBeGreaterThanOrEqual(HOUR);
          });
        }
        for (const { uid } of candidates) expect(made.some((check) => check.uid === uid)).toBe(true);
      }),
      { numRuns: sized({ usual: 50, full: 1_000 }) },
    );
  });
});
