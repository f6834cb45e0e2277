import { describe, expect, it } from '@jest/globals';
import { FIXED } from '@kuik/contracts';
import { until } from '@kuik/testbed';
import type { BlobTurn, BlobTurnsOptions, HostBlobs, Missed, QueueReports } from '../port.ts';
import type { Room } from './room.ts';

const HOST = 'registry.example:5000';
const NOBODY_STOPS = new AbortController().signal;
let blobs = 0;
const freshDigest = (): string => `sha256:${process.pid}${String((blobs += 1)).padStart(20, '0')}`;

/** Turns to bring blobs, and where they landed. */
export function describeTurns(room: Room): void {
  describe('turns', () => {
    /** A worker's view of a host's blobs. */
    const worker = (options: BlobTurnsOptions & QueueReports = {}, host = HOST): HostBlobs =>
      room.keep(room.bed.createBlobTurns(options)).of(host);
    const take = (of: HostBlobs, digest: string, except: string[] = [], signal = NOBODY_STOPS): Promise<BlobTurn> =>
      of.take(digest, { except, signal });
    async function bring(of: HostBlobs, digest: string, except: string[] = []) {
      const turn = await take(of, digest, except);
      if (turn.do === 'look') throw new Error(`told to look in ${turn.in.join(', ')}`);
      return turn;
    }

    it.each<[string, () => [HostBlobs, HostBlobs]]>([
      ['two workers', () => [worker(), worker()]],
      ['one worker', () => Array<HostBlobs>(2).fill(worker()) as [HostBlobs, HostBlobs]],
    ])('%s: the second waits for the first, and is told where to look', async (_who, pair) => {
      const [one, two] = pair();
      const digest = freshDigest();
      const turn = await bring(one, digest);
      let told: BlobTurn | undefined;
      const waiting = take(two, digest).then((next) => (told = next));
      expect(await bring(two, freshDigest())).toMatchObject({ do: 'bring' });
      expect(told).toBeUndefined();
      await turn.end('a/first');
      expect(await waiting).toEqual({ do: 'look', in: ['a/first'] });
      expect(await take(one, digest)).toEqual({ do: 'look', in: ['a/first'] });
    });

    it('a turn that ended with nothing is the next one’s', async () => {
      const [one, two, three] = [worker(), worker(), worker()];
      const digest = freshDigest();
      const first = await bring(one, digest);
      const others = [two, three].map((each) => take(each, digest));
      await first.end();
      const second = await Promise.race(others);
      expect(second.do).toBe('bring');
      if (second.do === 'bring') await second.end('a/second');
      const told = await Promise.all(others);
      expect(told.filter((turn) => turn.do === 'look')).toEqual([{ do: 'look', in: ['a/second'] }]);
    });

    it('a small blob is known to its own process alone, and asked of no other', async () => {
      const [one, two] = [worker(), worker()];
      const [digest, options] = [freshDigest(), { size: FIXED.smallBlobBytes, except: [], signal: NOBODY_STOPS }];
      const turn = await one.take(digest, options);
      expect(await two.take(digest, options)).toMatchObject({ do: 'bring' });
      const waiting = one.take(digest, options);
      if (turn.do === 'bring') await turn.end('a/first');
      expect(await waiting).toEqual({ do: 'look', in: ['a/first'] });
      two.landed(digest, 'b/second', FIXED.smallBlobBytes);
      expect(await two.take(digest, options)).toEqual({ do: 'look', in: ['b/second'] });
      expect(await worker().take(digest, { except: [], signal: NOBODY_STOPS })).toMatchObject({ do: 'bring' });
    });

    it('names the last three places, newest first, and none that was tried', async () => {
      const [one, two] = [worker(), worker()];
      const digest = freshDigest();
      for (const place of ['a', 'b', 'c', 'a', 'd']) one.landed(digest, place);
      const known = await until(
        async () => {
          const turn = await take(two, digest);
          if (turn.do === 'bring') await turn.end();
          return turn.do === 'look' && turn.in.includes('d') ? turn.in : undefined;
        },
        { what: 'the places to be told' },
      );
      expect(known).toEqual(['d', 'a', 'c']);
      expect(await take(one, digest, ['a'])).toEqual({ do: 'look', in: ['d', 'c'] });
      const turn = await bring(two, digest, ['d', 'a', 'c']);
      await turn.end('e');
      await turn.end('f');
      expect(await take(worker(), digest)).toEqual({ do: 'look', in: ['e', 'd', 'a'] });
    });

    it('hosts know nothing of each other', async () => {
      const digest = freshDigest();
      const [here, there] = [worker(), worker({}, 'other.example')];
      const turn = await bring(here, digest);
      const other = await bring(there, digest);
      await turn.end('here/app');
      await other.end();
      expect((await take(there, digest)).do).toBe('bring');
    });

    it.each<[string, () => [HostBlobs, HostBlobs]]>([
      ['another worker', () => [worker(), worker({ waitMs: 200 })]],
      ['itself', () => Array<HostBlobs>(2).fill(worker({ waitMs: 200 })) as [HostBlobs, HostBlobs]],
    ])('who waited long enough for %s goes on without', async (_whom, pair) => {
      const [one, two] = pair();
      const digest = freshDigest();
      const slow = await bring(one, digest);
      const startedMs = performance.now();
      const own = await bring(two, digest);
      const waitedMs = performance.now() - startedMs;
      expect([waitedMs > 190, waitedMs < 2_500]).toEqual([true, true]);
      await own.end('two/app');
      expect(await take(worker(), digest)).toEqual({ do: 'look', in: ['two/app'] });
      await slow.end('one/app');
    });

    it('a turn that lasts longer than the lock is kept', async () => {
      const [one, two] = [worker({ lockMs: 300 }), worker({ lockMs: 300, waitMs: 1_200 })];
      const digest = freshDigest();
      const long = await bring(one, digest);
      const startedMs = performance.now();
      const own = await bring(two, digest);
      expect(performance.now() - startedMs).toBeGreaterThan(1_190);
      await Promise.all([long.end(), own.end()]);
    });

    it('of one that is gone is taken at once, of one that is there waited for; who was only taken for dead ends nobody’s', async () => {
      const gone = new Set<string>();
      const asked: string[] = [];
      const named = (name: string, waitMs = 60_000) =>
        worker({
          waitMs,
          lockMs: 60_000,
          holders: {
            name: () => name,
            alive: (other) => {
              asked.push(other);
              return Promise.resolve(!gone.has(other));
            },
          },
        });
      const digest = freshDigest();
      const doomed = await bring(named('http://a:1#1'), digest);
      const startedMs = performance.now();
      await bring(named('http://b:1#1', 100), digest);
      expect(performance.now() - startedMs).toBeGreaterThan(90);
      gone.add('http://a:1#1');
      const next = await bring(named('http://a:1#2'), digest);
      await doomed.end();
      expect((await bring(named('http://c:1#1', 100), digest)).do).toBe('bring');
      expect([performance.now() - startedMs < 10_000, new Set(asked)]).toEqual([
        true,
        new Set(['http://a:1#1', 'http://a:1#2']),
      ]);
      await next.end('a/second');
      expect(await take(named('http://b:1#1'), digest)).toEqual({ do: 'look', in: ['a/second'] });
    });

    it('who is told to stop waits no longer', async () => {
      const [one, two] = [worker(), worker()];
      const digest = freshDigest();
      const turn = await bring(one, digest);
      const stop = new AbortController();
      const waits = [one, two].map((each) => take(each, digest, [], stop.signal));
      stop.abort();
      for (const wait of waits) await expect(wait).rejects.toThrow('aborted');
      await turn.end();
      const next = await bring(two, digest);
      await next.end();
    });

    it('without Redis each worker goes on by itself, one at a time, and remembers', async () => {
      const missed: Missed[] = [];
      const [one, two] = [worker({ missed: (what) => missed.push(what) }), worker()];
      const digest = freshDigest();
      const before = await bring(one, freshDigest());
      await room.bed.goAway();
      const startedMs = performance.now();
      const [mine, theirs] = [await bring(one, digest), await bring(two, digest)];
      const waiting = take(one, digest);
      await Promise.all([before.end('x/app'), theirs.end(), mine.end('one/app')]);
      expect(await waiting).toEqual({ do: 'look', in: ['one/app'] });
      expect(performance.now() - startedMs).toBeLessThan(3_000);
      expect(new Set(missed)).toEqual(new Set(['turns']));
      await room.bed.comeBack();
      const shared = freshDigest();
      await until(
        async () => {
          one.landed(shared, 'one/app');
          const turn = await take(two, shared);
          if (turn.do === 'bring') await turn.end();
          return turn.do === 'look';
        },
        { what: 'turns to be shared again', timeoutMs: 15_000, everyMs: 100 },
      );
    }, 30_000);
  });
}
