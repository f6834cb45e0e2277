import { describe, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import type { Pacer, PacerOptions, QueueReports } from '../port.ts';
import type { Room } from './room.ts';

/** The pace of a host. */
export function describePaces(room: Room): void {
  describe('pace', () => {
    const pacer = (options: PacerOptions & QueueReports = {}): Pacer => room.keep(room.bed.createPacer(options));
    let hosts = 0;
    const freshHost = (): string => `h${process.pid}-${(hosts += 1)}.example:5000`;

    it('gives the burst, then tells each who asks a time of its own', async () => {
      const pace = { perSecond: 5, burst: 3 };
      const [one, two] = [pacer({ pace }), pacer({ pace })];
      const host = freshHost();
      expect([await one.take(host), await two.take(host), await one.take(host)]).toEqual([0, 0, 0]);
      const waits = [await two.take(host), await one.take(host), await two.take(host)];
      for (const [index, wait] of waits.entries()) {
        expect(wait).toBeGreaterThan(index * 200 + 50);
        expect(wait).toBeLessThanOrEqual((index + 1) * 200 + 1);
      }
      expect(await one.take(freshHost())).toBe(0);
      await until(async () => (await one.take(host)) === 0, { what: 'a token to come back', timeoutMs: 2_000 });
    });

    it('is one of its own for some hosts', async () => {
      const host = freshHost();
      const paced = pacer({ pace: { perSecond: 1, burst: 1 }, hosts: { [host]: { perSecond: 1, burst: 2 } } });
      expect([await paced.take(host), await paced.take(host)]).toEqual([0, 0]);
      expect(await paced.take(host)).toBeGreaterThan(0);
    });

    it('has places for what is under way at once, over all processes', async () => {
      const host = freshHost();
      const hosts = { [host]: { perSecond: 100, burst: 100, concurrency: 2 } };
      const [one, two] = [pacer({ hosts }), pacer({ hosts })];
      const never = new AbortController().signal;
      const [first] = await Promise.all([one.place(host, never), two.place(host, never)]);
      const waiting = new AbortController();
      const third = two.place(host, waiting.signal);
      const fourth = one.place(host, never);
      expect(await Promise.race([third, fourth, one.place(freshHost(), never).then(() => 'another')])).toBe('another');
      waiting.abort(new Error('told to stop'));
      await expect(third).rejects.toThrow('told to stop');
      await first.leave();
      await (await fourth).leave();
    });

    it('has no bound to what is under way when none is set', async () => {
      const one = pacer();
      const host = freshHost();
      for (let taken = 0; taken < 50; taken += 1) await one.place(host, new AbortController().signal);
    });

    it('is nothing while a host is parked, until the later of two times', async () => {
      const [one, two] = [pacer(), pacer()];
      const host = freshHost();
      expect(await two.parkedUntil(host)).toBeUndefined();
      const untilMs = Date.now() + 60_000;
      await one.park(host, untilMs, 'RateLimited');
      await two.park(host, untilMs - 30_000, 'RateLimited');
      await one.park(host, Date.now() - 1, 'Past');
      for (const each of [one, two, pacer()]) {
        expect(Math.abs((await each.parkedUntil(host))! - untilMs)).toBeLessThan(1_000);
        expect(await each.take(host)).toBeGreaterThan(58_000);
      }
      await two.park(host, untilMs + 30_000, 'RateLimited');
      expect(Math.abs((await one.parkedUntil(host))! - untilMs - 30_000)).toBeLessThan(1_000);
      expect(await one.take(freshHost())).toBe(0);
    });

    it('parks a host that limits us by its own word, everybody for the same limit once', async () => {
      const [one, two] = [pacer(), pacer()];
      const host = freshHost();
      expect(await one.limited(host, { retryAfterMs: 30_000, reason: 'KUIK-REG-429' })).toBe(30_000);
      const again = await two.limited(host, { reason: 'KUIK-REG-429' });
      expect(again).toBeGreaterThan(28_000);
      expect(again).toBeLessThanOrEqual(30_000);
      expect(await two.limited(host, { retryAfterMs: 60_000, reason: 'KUIK-REG-429' })).toBe(60_000);
      const facts = (await one.facts()).find((known) => known.host === host);
      expect(facts).toMatchObject({ why: 'KUIK-REG-429', quotas: [] });
      expect(facts!.parkedUntilMs! - Date.now()).toBeGreaterThan(58_000);
    });

    it("keeps what a host says of each identity's quota, and holds back what nobody waits for", async () => {
      const [one, two] = [pacer(), pacer()];
      const host = freshHost();
      const told = (identity: string, remaining: number, background: boolean) =>
        one.told(host, { identity, limit: 100, remaining, windowSeconds: 600 }, { background });
      await told('a', 40, true);
      await told('b', 3, false);
      expect(await two.take(host, { floor: 0.2 })).toBe(0);
      expect(await two.parkedUntil(host, { floor: 0.2 })).toBeUndefined();
      await told('a', 10, false);
      expect(await two.take(host, { floor: 0.2 })).toBeGreaterThan(60_000);
      expect(await two.parkedUntil(host, { floor: 0.2 })).toBeGreaterThan(Date.now() + 60_000);
      expect([await two.take(host, { floor: 0.05 }), await two.take(host)]).toEqual([0, 0]);
      const { quotas } = (await two.facts()).find((known) => known.host === host)!;
      expect(quotas.map(({ remaining }) => remaining).sort()).toEqual([10, 3]);
    });

    it('is shared with requests that asked nobody', async () => {
      const paced = pacer({ pace: { perSecond: 1, burst: 5 } });
      const host = freshHost();
      await paced.spent(host, 4);
      expect(await paced.take(host)).toBe(0);
      await paced.spent(host, 100);
      expect(await paced.take(host)).toBeGreaterThan(3_000);
      expect(await paced.take(host)).toBeLessThan(9_000);
    });

    it('goes on after a park ended', async () => {
      const [one, two] = [pacer(), pacer()];
      const host = freshHost();
      await one.park(host, Date.now() + 200, 'RateLimited');
      expect(await two.take(host)).toBeGreaterThan(0);
      await until(async () => (await two.take(host)) === 0, { what: 'the park to end', timeoutMs: 2_000 });
      expect(await two.parkedUntil(host)).toBeUndefined();
    });
  });
}
