import { describe, expect, it } from '@jest/globals';
import { until } from '@kuik/testbed';
import type { Pacer, PacerOptions, Payer, QueueReports } from '../port.ts';
import type { Room } from './room.ts';

/** The pace of a host. */
export function describePaces(room: Room): void {
  describe('pace', () => {
    const pacer = (options: PacerOptions & QueueReports = {}): Pacer => room.keep(room.bed.createPacer(options));
    let hosts = 0;
    const fresh = (): Payer => ({ host: `h${process.pid}-${(hosts += 1)}.example:5000` });

    it('gives the burst, then tells each who asks a time of its own', async () => {
      const pace = { perSecond: 5, burst: 3 };
      const [one, two] = [pacer({ pace }), pacer({ pace })];
      const payer = fresh();
      expect([await one.take(payer), await two.take(payer), await one.take(payer)]).toEqual([0, 0, 0]);
      const waits = [await two.take(payer), await one.take(payer), await two.take(payer)];
      for (const [index, wait] of waits.entries()) {
        expect(wait).toBeGreaterThan(index * 200 + 50);
        expect(wait).toBeLessThanOrEqual((index + 1) * 200 + 1);
      }
      expect(await one.take(fresh())).toBe(0);
      await until(async () => (await one.take(payer)) === 0, { what: 'a token to come back', timeoutMs: 2_000 });
    });

    it('is one of its own for some hosts', async () => {
      const payer = fresh();
      const paced = pacer({ pace: { perSecond: 1, burst: 1 }, hosts: { [payer.host]: { perSecond: 1, burst: 2 } } });
      expect([await paced.take(payer), await paced.take(payer)]).toEqual([0, 0]);
      expect(await paced.take(payer)).toBeGreaterThan(0);
    });

    it('has places for what is under way at once, over all processes', async () => {
      const { host } = fresh();
      const hosts = { [host]: { perSecond: 100, burst: 100, concurrency: 2 } };
      const [one, two] = [pacer({ hosts }), pacer({ hosts })];
      const never = new AbortController().signal;
      const [first] = await Promise.all([one.place(host, never), two.place(host, never)]);
      const waiting = new AbortController();
      const third = two.place(host, waiting.signal);
      const fourth = one.place(host, never);
      expect(await Promise.race([third, fourth, one.place(fresh().host, never).then(() => 'another')])).toBe('another');
      waiting.abort(new Error('told to stop'));
      await expect(third).rejects.toThrow('told to stop');
      await first.leave();
      await (await fourth).leave();
    });

    it('has no bound to what is under way when none is set', async () => {
      const one = pacer();
      const { host } = fresh();
      for (let taken = 0; taken < 50; taken += 1) await one.place(host, new AbortController().signal);
    });

    it('is nothing while a host is parked, until the later of two times', async () => {
      const [one, two] = [pacer(), pacer()];
      const payer = fresh();
      expect(await two.parkedUntil(payer)).toBeUndefined();
      const untilMs = Date.now() + 60_000;
      await one.park(payer, untilMs, 'RateLimited');
      await two.park(payer, untilMs - 30_000, 'RateLimited');
      await one.park(payer, Date.now() - 1, 'Past');
      for (const each of [one, two, pacer()]) {
        expect(Math.abs((await each.parkedUntil(payer))! - untilMs)).toBeLessThan(1_000);
        expect(await each.take(payer)).toBeGreaterThan(58_000);
      }
      await two.park(payer, untilMs + 30_000, 'RateLimited');
      expect(Math.abs((await one.parkedUntil(payer))! - untilMs - 30_000)).toBeLessThan(1_000);
      expect(await one.take(fresh())).toBe(0);
    });

    it('parks a host that limits us by its own word, everybody for the same limit once', async () => {
      const [one, two] = [pacer(), pacer()];
      const payer = fresh();
      expect(await one.limited(payer, { retryAfterMs: 30_000, reason: 'KUIK-REG-429' })).toBe(30_000);
      const again = await two.limited(payer, { reason: 'KUIK-REG-429' });
      expect(again).toBeGreaterThan(28_000);
      expect(again).toBeLessThanOrEqual(30_000);
      expect(await two.limited(payer, { retryAfterMs: 60_000, reason: 'KUIK-REG-429' })).toBe(60_000);
      const facts = (await one.facts()).find(({ host }) => host === payer.host);
      expect(facts).toMatchObject({ why: 'KUIK-REG-429', quotas: [] });
      expect(facts!.parkedUntilMs! - Date.now()).toBeGreaterThan(58_000);
    });

    it('takes the limit that many requests met at once for one', async () => {
      const pacers = [pacer(), pacer()];
      const payer = fresh();
      const startedMs = performance.now();
      const told = await Promise.all(
        Array.from({ length: 12 }, (_, at) => pacers[at % 2]!.limited(payer, { reason: 'KUIK-REG-429' })),
      );
      expect(Math.max(...told)).toBeLessThanOrEqual(60_000);
      // Each is told what was left of it.
      expect(Math.max(...told) - Math.min(...told)).toBeLessThanOrEqual(performance.now() - startedMs + 100);
    });

    it("keeps what a host says of each identity's quota, and holds back what nobody waits for", async () => {
      const [one, two] = [pacer(), pacer()];
      const payer = fresh();
      const told = (identity: string, remaining: number, background: boolean) =>
        one.told(payer, { identity, limit: 100, remaining, windowSeconds: 600 }, { background });
      await told('a', 40, true);
      await told('b', 3, false);
      expect(await two.take(payer, { floor: 0.2 })).toBe(0);
      expect(await two.parkedUntil(payer, { floor: 0.2 })).toBeUndefined();
      await told('a', 10, false);
      expect(await two.take(payer, { floor: 0.2 })).toBeGreaterThan(60_000);
      expect(await two.parkedUntil(payer, { floor: 0.2 })).toBeGreaterThan(Date.now() + 60_000);
      expect([await two.take(payer, { floor: 0.05 }), await two.take(payer)]).toEqual([0, 0]);
      const { quotas } = (await two.facts()).find(({ host }) => host === payer.host)!;
      expect(quotas.map(({ remaining }) => remaining).sort()).toEqual([10, 3]);
    });

    it('is of each login by itself: what one has used up, or is refused, holds up neither another nor those without', async () => {
      const [one, two] = [pacer({ pace: { perSecond: 1, burst: 1 } }), pacer({ pace: { perSecond: 1, burst: 1 } })];
      const payer = fresh();
      const alice = { ...payer, account: 'a'.repeat(32) };
      const bob = { ...payer, account: 'b'.repeat(32) };
      expect([await one.take(payer), await one.take(alice)]).toEqual([0, 0]);
      expect([(await two.take(payer)) > 0, (await two.take(alice)) > 0, await two.take(bob)]).toEqual([true, true, 0]);
      await one.limited(alice, { retryAfterMs: 60_000, reason: 'KUIK-REG-429' });
      await one.told(bob, { identity: 'i', limit: 100, remaining: 1, windowSeconds: 600 }, { background: true });
      expect(await two.take(alice)).toBeGreaterThan(58_000);
      expect(await two.take(payer)).toBeLessThanOrEqual(2_001);
      expect(await two.parkedUntil(payer, { floor: 0.2 })).toBeUndefined();
      expect(await two.parkedUntil(bob, { floor: 0.2 })).toBeGreaterThan(Date.now() + 60_000);
      expect(await two.parkedUntil(bob)).toBeUndefined();
      const facts = (await two.facts()).filter(({ host }) => host === payer.host);
      expect(facts.map(({ account, why, quotas }) => [account, why, quotas.length])).toEqual([
        [alice.account, 'KUIK-REG-429', 0],
        [bob.account, undefined, 1],
      ]);
    });

    it('is shared with requests that asked nobody', async () => {
      const paced = pacer({ pace: { perSecond: 1, burst: 5 } });
      const payer = fresh();
      await paced.spent(payer, 4);
      expect(await paced.take(payer)).toBe(0);
      await paced.spent(payer, 100);
      expect(await paced.take(payer)).toBeGreaterThan(3_000);
      expect(await paced.take(payer)).toBeLessThan(9_000);
    });

    it('goes on after a park ended', async () => {
      const [one, two] = [pacer(), pacer()];
      const payer = fresh();
      await one.park(payer, Date.now() + 200, 'RateLimited');
      expect(await two.take(payer)).toBeGreaterThan(0);
      await until(async () => (await two.take(payer)) === 0, { what: 'the park to end', timeoutMs: 2_000 });
      expect(await two.parkedUntil(payer)).toBeUndefined();
    });
  });
}
