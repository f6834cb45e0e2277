import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { BufferPool, openBlobOver, RegistryError, type RepositoryClient } from '@kuik/registry';
import { memoryQueue } from '@kuik/queue/memory';
import { until } from '@kuik/testbed';
import fc from 'fast-check';
import { NoRoom } from './admission.ts';
import { FormerSpools } from './former-spools.ts';
import { processName } from './owner-alive.ts';
import type { Access, TransferReader } from './proof.ts';
import { spoolName } from './spool-file.ts';
import { FULL_MS, SpoolRoom } from './spool-room.ts';
import { Transfers, type Joined } from './transfers.ts';

const KiB = 1024;
const CHUNK = 16 * KiB;
const folder = mkdtempSync(path.join(tmpdir(), 'kuik-transfers-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const running = new Set<Transfers>();
afterEach(async () => {
  await Promise.all([...running].map((transfers) => transfers.close()));
  running.clear();
});
const pause = () => new Promise((resolve) => setImmediate(resolve));

/**
 * An upstream, leases and turns that everybody shares, and copiers that can die. `grants` says who may read what; `pace.lag`: upstream sends so
 * many bytes more than the slowest of pulls and upload has; `pace.lookMs`: what each look for a former owner's spool seems to take; `cached`: what
 * the cache holds, once something landed.
 */
function world(
  bytes: Buffer,
  grants: (path: string, access: Access) => boolean = () => true,
  pace: { lag: number; lookMs?: number } = { lag: Infinity },
  cached = bytes,
) {
  const digest = digestOf(bytes);
  const pulling = new Set<{ at: number }>();
  const slowest = (): number => Math.min(told.uploaded, ...[...pulling].map(({ at }) => at));
  const told = { given: 0, opened: 0, heads: 0, now: 0, stored: 0, uploaded: 0, ticks: 0, looks: 0 };
  const found = { there: 0, cameBack: 0, away: 0 };
  const warnings: string[] = [];
  const redis = memoryQueue({ now: () => told.now });
  const leases = redis.createTransferLeases({ lockMs: 10_000 });
  const live = new Map<string, { transfers: Transfers; instance: string; spool: string }>();
  const refusal = () => new RegistryError('unauthorized', 'status 401', { status: 401 });
  const upstream = ({ path: repository, access }: { path: string; access: Access }): RepositoryClient =>
    registry(repository, access, (given) => (told.given += given));
  const registry = (
    repository: string,
    access: Access,
    count: (given: number) => void,
    held = bytes,
  ): RepositoryClient =>
    ({
      host: 'up.test',
      repository,
      async headBlob() {
        await pause();
        told.heads += 1;
        if (!grants(repository, access)) throw refusal();
        return { size: bytes.length };
      },
      async openBlob(_digest: string, { offset = 0, end }: { offset?: number; end?: number } = {}) {
        await pause();
        told.opened += 1;
        if (!grants(repository, access)) throw refusal();
        const part = held.subarray(offset, (end ?? bytes.length - 1) + 1);
        return openBlobOver({
          totalSize: bytes.length,
          offset,
          length: part.length,
          contentType: '',
          async pump(sink, signal) {
            for (let at = 0; at < part.length; at += CHUNK) {
              do await pause();
              while (signal?.aborted !== true && offset + at > slowest() + pace.lag);
              if (signal?.aborted === true) throw new RegistryError('aborted', 'left');
              count(Math.min(CHUNK, part.length - at));
              await sink(Buffer.from(part.subarray(at, at + CHUNK)));
            }
          },
          cancel: () => undefined,
        });
      },
    }) as Partial<RepositoryClient> as RepositoryClient;
  const own = mkdtempSync(path.join(folder, 'world-'));
  let copiers = 0;
  let lives = 0;
  /** Its address. One that is started again is at another one, in the same folder. */
  const start = (again = `copier-${(copiers += 1)}`, totalBytes = 4096 * KiB): string => {
    const instance = `${(lives += 1)}`;
    const [folderName] = again.split('@');
    const name = `${folderName}@${instance}`;
    const room = new SpoolRoom({ folder: path.join(own, folderName!), totalBytes, keepMs: 60_000 });
    const left = new FormerSpools({
      leases,
      alive: (address) => Promise.resolve(isAlive(address)),
      now: () => (told.looks += 1) * (pace.lookMs ?? 1_000),
      count: (result) => void (found[result] += 1),
      lookEveryMs: 1,
    });
    const alive = (owner: string) => Promise.resolve(isAlive(owner));
    const turns = redis.createBlobTurns({ holders: { name: () => processName(name, instance), alive } });
    // Of a dead process nothing reaches Redis any more.
    const here = () => live.get(name)?.instance === instance;
    const transfers = new Transfers({
      leases: {
        ...leases,
        claim: async (...claim) => (here() ? leases.claim(...claim) : undefined),
        release: async (...release) => {
          await pause();
          if (here()) await leases.release(...release);
        },
      },
      room,
      buffers: new BufferPool({ totalBytes: 4096 * KiB, maxBytes: 64 * KiB, minBytes: CHUNK }),
      memory: {
        pool: new BufferPool({ totalBytes: 256 * KiB, maxBytes: CHUNK, minBytes: CHUNK }),
        blockBytes: CHUNK,
      },
      address: () => name,
      alive,
      upstream,
      leftBy: (of, { host }) =>
        left.source(of, async (address, request) => {
          const blob = await live.get(address)?.transfers.left({ ...request, host, digest });
          if (blob === undefined) throw new RegistryError('not-found', 'nothing left');
          return blob;
        }),
      onReached: (key, upTo) => void (here() && leases.reached(key, room.name, upTo)),
      cache: () => (told.stored > 0 ? registry('cache', 'anonymous', () => undefined, cached) : undefined),
      async store(_reader, _size, source) {
        const signal = new AbortController().signal;
        const turn = await turns.of('up.test').take(digest, { except: [], signal });
        if (turn.do === 'look') return true;
        // The session in the cache outlives whoever uploads, and so does a dead one's turn.
        const end = (where?: string) => (here() ? turn.end(where) : undefined);
        try {
          const rest = await source.openBlob(digest, { offset: told.uploaded });
          await rest.deliver((chunk) => void (told.uploaded += chunk.length));
          told.stored += 1;
          await end('app');
          return true;
        } catch {
          await end();
          return false;
        }
      },
      onBytes: () => undefined,
      now: () => told.now,
      // Each chunk later than a front is told again.
      monotonic: () => (told.ticks += 100),
      log: { debug: () => undefined, warn: (message) => void warnings.push(message) },
    });
    live.set(name, { transfers, instance, spool: room.name });
    running.add(transfers);
    void leases.settle(room.name, name);
    return name;
  };
  const isAlive = (owner: string): boolean => {
    const [name, instance] = owner.split('#');
    return live.has(name!) && (instance === undefined || live.get(name!)!.instance === instance);
  };
  /** Readers are cut off, files stay, nothing is told to anybody; resolves when nothing of it runs any more. */
  const kill = async (name: string): Promise<void> => {
    const { transfers } = live.get(name)!;
    live.delete(name);
    await transfers.close();
  };
  const reader = (own: Partial<TransferReader> = {}): TransferReader => ({
    host: 'up.test',
    path: 'app',
    digest,
    access: 'anonymous',
    store: true,
    ...own,
  });
  /** As a proxy does: any door, where it points to, and again at the byte reached when that breaks. */
  const pull = async (doors: () => string[], own: Partial<TransferReader> = {}): Promise<Buffer> => {
    const parts: Buffer[] = [];
    const mine = { at: 0 };
    pulling.add(mine);
    let tries = 0;
    while (mine.at < bytes.length) {
      if ((tries += 1) > 50) throw new Error('no progress');
      const [door] = doors();
      const there = door === undefined ? undefined : live.get(door)?.transfers;
      try {
        let joined: Joined | undefined = await there?.join(reader({ offset: mine.at, ...own }));
        if (joined !== undefined && 'at' in joined)
          joined = await live.get(joined.at)?.transfers.join(reader({ offset: mine.at, ...own }));
        if (joined === undefined || 'at' in joined) throw new RegistryError('refused', 'nobody there');
        await joined.blob.deliver((chunk) => {
          parts.push(Buffer.from(chunk));
          mine.at += chunk.length;
          return undefined;
        });
      } catch (error) {
        if (!(error instanceof RegistryError) || error.code !== 'refused') throw error;
        await pause();
      }
    }
    return Buffer.concat(parts);
  };
  return {
    digest,
    told,
    found,
    leases,
    live,
    start,
    kill,
    reader,
    pull,
    warnings,
    folderOf: (name: string) => path.join(own, name),
  };
}

describe('transfers of several copiers', () => {
  it('read upstream once for everybody, through whatever doors they come', async () => {
    const bytes = randomBytes(600 * KiB);
    const { told, start, pull, live } = world(bytes);
    const doors = [start(), start(), start()];
    const pulls = Array.from({ length: 9 }, (_, i) => pull(() => [doors[i % 3]!]));
    for (const got of await Promise.all(pulls)) expect(got.equals(bytes)).toBe(true);
    await until(() => told.stored === 1, { what: 'the upload to end' });
    expect(told).toMatchObject({ given: bytes.length, opened: 1, heads: 0, stored: 1 });
    await until(() => [...live.values()].every(({ transfers }) => transfers.active === 0), {
      what: 'every transfer to end',
    });
  });

  it('bring every byte to everybody, whoever dies when, at the price of what was in hand', async () => {
    const bytes = randomBytes(800 * KiB);
    const step = fc.record({ after: fc.nat(40), kill: fc.nat(2), restart: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 4 }), async (steps) => {
        // They are waited for as long as it takes, where all come back.
        const allReturn = steps.every(({ restart }) => restart);
        const { told, start, kill, pull, live } = world(bytes, undefined, {
          lag: Infinity,
          lookMs: allReturn ? 0 : 1_000,
        });
        const names = [start(), start(), start()];
        const pulls = Array.from({ length: 4 }, (_, i) =>
          pull(() => [...live.keys()].slice(i % Math.max(1, live.size)).concat([...live.keys()])),
        );
        const all = Promise.all(pulls);
        let kills = 0;
        for (const { after, kill: which, restart } of steps) {
          for (let i = 0; i < after; i += 1) await pause();
          const name = names[which]!;
          if (live.size === 1 || !live.has(name)) continue;
          await kill(name);
          kills += 1;
          if (restart) names[which] = start(name);
        }
        for (const got of await all) expect(got.equals(bytes)).toBe(true);
        await Promise.all([...live.values()].map(({ transfers }) => transfers.close()));
        // A death costs what each read had in hand; one for good what its slowest reader was behind upstream: on a busy machine all that was read.
        const perDeath = allReturn ? CHUNK * (pulls.length + 1) : bytes.length;
        expect(told.given).toBeLessThanOrEqual(bytes.length + kills * perDeath);
        if (kills === 0) expect(told.given).toBe(bytes.length);
      }),
      { numRuns: 20 },
    );
  }, 20_000);

  it('go on with the upload at once when its owner dies, whoever died just before: that costs what was in hand', async () => {
    const bytes = randomBytes(3_200 * KiB);
    const lag = 8 * CHUNK;
    const { told, start, kill, pull, live } = world(bytes, undefined, { lag });
    for (let copier = 0; copier < 4; copier += 1) start();
    const pulls = Array.from({ length: 4 }, () => pull(() => [...live.keys()]));
    const kills: Promise<void>[] = [];
    for (const part of [0.3, 0.32, 0.6]) {
      // Looked at as often as bytes come.
      const deadline = performance.now() + 10_000;
      const owner = () => [...live].find(([, { transfers }]) => transfers.active > 0)?.[0];
      while ((told.uploaded < part * bytes.length || owner() === undefined) && performance.now() < deadline)
        await pause();
      kills.push(kill(owner()!));
    }
    for (const got of await Promise.all(pulls)) expect(got.equals(bytes)).toBe(true);
    await until(() => told.stored === 1, { what: 'the upload to end' });
    expect(told.uploaded).toBe(bytes.length);
    expect(told.given).toBeLessThanOrEqual(bytes.length + kills.length * (lag + CHUNK));
    await Promise.all(kills);
  });

  it.each([
    ['there again, at another address', true],
    ['back soon: who wants it waits', false],
  ])('read from who owned them before what that one left, when it is %s', async (_when, atOnce) => {
    const bytes = randomBytes(3_200 * KiB);
    const pace = { lag: 8 * CHUNK, lookMs: 0 };
    const { told, found, start, kill, pull, live, leases, digest } = world(bytes, undefined, pace);
    const [first, other] = [start(), start()];
    const early = pull(() => [...live.keys()]);
    const deadline = performance.now() + 5_000;
    while (told.uploaded < 0.6 * bytes.length && performance.now() < deadline) await pause();
    pace.lag = -Infinity;
    await kill(first);
    if (atOnce) start(first);
    const named = { address: other, spool: live.get(other)!.spool };
    expect((await leases.claim(`up.test:${digest}`, named, first))?.owner).toBe(other);
    const { looks } = told;
    pace.lag = 8 * CHUNK;
    const late = pull(() => [other]);
    if (!atOnce) {
      await until(() => told.looks > looks + 3, { what: 'somebody to wait for it' });
      start(first);
    }
    for (const got of await Promise.all([early, late])) expect(got.equals(bytes)).toBe(true);
    expect(told.given).toBeLessThanOrEqual(bytes.length + CHUNK);
    expect([found.there + found.cameBack > 0, found.cameBack > 0]).toEqual([true, !atOnce]);
  });

  it('wait for a silent upstream once for all who came meanwhile', async () => {
    const silence = new RegistryError('timeout', 'no answer');
    const { told, start, live, reader } = world(randomBytes(KiB), (_path, access) => {
      if (access === 'anonymous') throw silence;
      return true;
    });
    const transfers = live.get(start())!.transfers;
    const joins = Array.from({ length: 4 }, () => transfers.join(reader()).catch((error: unknown) => error));
    expect(await Promise.all(joins)).toEqual(joins.map(() => silence));
    expect(told.opened).toBe(1);
  });

  it('keep a copy’s transfer until it has landed, and nothing of it afterwards', async () => {
    const bytes = randomBytes(600 * KiB);
    const { told, start, live, reader, digest } = world(bytes);
    const transfers = live.get(start())!.transfers;
    const copy = async (): Promise<void> => {
      const joined = await transfers.join(reader({ store: false }));
      if ('blob' in joined) await joined.blob.deliver(() => undefined);
    };
    const key = { host: 'up.test', digest };
    for (const landed of [false, true]) {
      const brought = transfers.bringing(key);
      await copy();
      await copy();
      expect(transfers.active).toBe(1);
      brought(landed);
      const isLeft = async (): Promise<boolean> => {
        const left = await transfers.left({ ...key, offset: 0, end: undefined });
        left?.cancel();
        return left?.length === bytes.length;
      };
      await until(async () => (await isLeft()) !== landed, { what: landed ? 'nothing to be left' : 'all to be left' });
      expect(transfers.active).toBe(0);
    }
    expect(told.given).toBe(bytes.length);
  });

  it('store what landed a moment ago, but is not where its reader looks for it', async () => {
    const bytes = randomBytes(300 * KiB);
    const { told, start, leases, digest, pull, live } = world(bytes);
    const door = start();
    await leases.release(`up.test:${digest}`, 'another', 'landed');
    expect((await pull(() => [door])).equals(bytes)).toBe(true);
    await until(() => live.get(door)!.transfers.active === 0, { what: 'the transfer to end' });
    expect(told).toMatchObject({ given: bytes.length, stored: 1 });
    expect((await pull(() => [door])).equals(bytes)).toBe(true);
    expect(told).toMatchObject({ given: bytes.length, stored: 1 });
  });

  it('break off what landed in the cache with other bytes, and neither read nor put it there for a while', async () => {
    const bytes = randomBytes(300 * KiB);
    const { told, start, live, leases, digest, reader, pull } = world(
      bytes,
      undefined,
      undefined,
      Buffer.alloc(300 * KiB),
    );
    const door = start();
    told.stored = 1;
    await leases.release(`up.test:${digest}`, 'another', 'landed');
    const joined = await live.get(door)!.transfers.join(reader());
    await expect('blob' in joined && joined.blob.deliver(() => undefined)).rejects.toThrow(/refused/);
    await leases.release(`up.test:${digest}`, 'another', 'landed');
    expect((await pull(() => [door])).equals(bytes)).toBe(true);
    expect(told).toMatchObject({ given: bytes.length, stored: 1, uploaded: 0 });
  });

  it('let in only whom upstream lets in, by a look when somebody else is being served', async () => {
    const bytes = randomBytes(300 * KiB);
    const { told, start, live, reader } = world(bytes, (repository, access) =>
      repository === 'private' ? access === 'credential' : repository === 'public',
    );
    const transfers = live.get(start())!.transfers;
    const join = (repository: string, access: Access) =>
      transfers.join(reader({ path: repository, access, store: false })).then(
        (joined) => ('blob' in joined ? joined.blob : undefined),
        (error: RegistryError) => error.code,
      );
    const first = await join('private', 'credential');
    expect(first).toHaveProperty('totalSize', bytes.length);
    expect(await join('private', 'anonymous')).toBe('unauthorized');
    expect(await join('stranger', 'anonymous')).toBe('unauthorized');
    expect(await join('stranger', 'credential')).toBe('unauthorized');
    expect(told).toMatchObject({ opened: 1, heads: 3 });
    const [second, third] = [await join('public', 'anonymous'), await join('public', 'credential')];
    expect(told.heads).toBe(4);
    for (const blob of [first, second, third]) if (typeof blob === 'object') blob.cancel();
  });

  // What takes no byte, as a full disk does.
  (process.platform === 'linux' ? it : it.skip)(
    'end what the disk does not take, and begin nothing on it for a minute: who reads is told at once',
    async () => {
      const bytes = randomBytes(300 * KiB);
      const { told, start, live, reader, digest, warnings, folderOf } = world(bytes);
      const key = `up.test:${digest}`;
      const folder = folderOf('full');
      mkdirSync(folder);
      symlinkSync('/dev/full', path.join(folder, spoolName(key)));
      writeFileSync(path.join(folder, `${spoolName(key)}.json`), JSON.stringify({ key, size: bytes.length }));
      writeFileSync(path.join(folder, 'stuck'), 'what nobody reads, and cannot be removed');
      mkdirSync(path.join(folder, 'stuck.json'));
      writeFileSync(path.join(folder, 'idle'), 'what nobody reads');
      const { transfers } = live.get(start('full'))!;
      const read = async (): Promise<Buffer> => {
        const joined = await transfers.join(reader({ store: false }));
        const parts: Buffer[] = [];
        if ('blob' in joined) await joined.blob.deliver((chunk) => void parts.push(Buffer.from(chunk)));
        return Buffer.concat(parts);
      };
      await expect(read()).rejects.toThrow('cannot keep what was read: Error: ENOSPC');
      await until(() => transfers.active === 0, { what: 'the transfer to end' });
      await expect(read()).rejects.toThrow(NoRoom);
      expect([readdirSync(folder), warnings.length]).toEqual([['.name', 'stuck', 'stuck.json'], 1]);
      told.now += FULL_MS;
      expect((await read()).equals(bytes)).toBe(true);
    },
  );

  it('refuse what has no room, and give back what they took', async () => {
    const { start, live, reader, leases, digest } = world(randomBytes(300 * KiB));
    const transfers = live.get(start('small', 100 * KiB))!.transfers;
    await expect(transfers.join(reader())).rejects.toThrow(NoRoom);
    // At once: its reader asks the next copier.
    expect(await leases.claim(`up.test:${digest}`, { address: 'other', spool: 'other' })).toMatchObject({
      owner: 'other',
    });
    expect(transfers.active).toBe(0);
  });
});
