import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startRedis, until } from '@kuik/testbed';
import type { RedisServer } from '@kuik/testbed';
import { Redis } from 'ioredis';
import { copy, DONE, freshQueue } from '../conformance/room.ts';
import { RedisLink } from './connection.ts';
import { createPacer } from './pacer.ts';
import { createProducer } from './producer.ts';
import { createTimeStore } from './time-store.ts';
import { createWorker } from './worker.ts';

let redis: RedisServer;
let admin: Redis;
const cleanUp: (() => unknown)[] = [];
/** Closed after the test, however it ends. */
function keep<C extends { close(): Promise<void> }>(opened: C): C {
  cleanUp.push(() => opened.close());
  return opened;
}
beforeAll(async () => {
  redis = await startRedis();
  admin = new Redis(redis.testUrl);
});
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});
afterAll(async () => {
  admin.disconnect();
  await redis.stop();
});

/** What whoever looks at the job reads of it (BullMQ keeps a job as a hash). */
async function progressOf(jobId: string): Promise<string | null> {
  const [key] = await admin.keys(`kuik:*:${jobId}`);
  return key === undefined ? null : admin.hget(key, 'progress');
}

describe('as the user of a service', () => {
  it('nothing that is done is refused, and every key is ours', async () => {
    await admin.call('ACL', 'LOG', 'RESET');
    const connection = { url: redis.url('image-copier') };
    const queue = freshQueue();
    const producer = keep(createProducer(queue, connection));
    let runs = 0;
    let told: string | null = null;
    const worker = createWorker(
      queue,
      connection,
      async (job) => {
        // What is told in the first half second is not written.
        const tell = async (): Promise<boolean> => {
          await job.progress({ bytesDone: 1, bytesTotal: 1, step: 'x' });
          return (told = await progressOf(job.id)) !== null;
        };
        await until(tell, { what: 'progress in Redis' });
        return (runs += 1) === 1 ? { do: 'park', afterMs: 50, reason: 'HostPaced' } : DONE;
      },
      { concurrency: 1, lockMs: 400, stallCheckMs: 200 },
    );
    cleanUp.push(() => worker.close(0));
    const hosts = { 'h:5000': { perSecond: 10, burst: 10, concurrency: 1 } };
    const pacer = keep(createPacer(connection, { hosts }));
    const times = keep(createTimeStore(connection));
    await producer.enqueue(copy('a'));
    await until(() => runs === 2, { what: 'both runs' });
    await producer.counts();
    await pacer.take({ host: 'h:5000' });
    // One whose holder was not heard of again is free.
    await admin.zadd('kuik:places:h:5000', Date.now() - 1, 'gone');
    const place = await pacer.place('h:5000', AbortSignal.timeout(2_000));
    expect(await admin.zcard('kuik:places:h:5000')).toBe(1);
    expect(await admin.pttl('kuik:places:h:5000')).toBeGreaterThan(0);
    await place.leave();
    await pacer.park({ host: 'h:5000' }, Date.now() + 60_000, 'RateLimited');
    await times.set('checked', [['u', 1]]);
    expect(JSON.parse(told!)).toEqual({ bytesDone: 1, bytesTotal: 1, step: 'x' });
    await worker.close(1_000);
    await Promise.all([producer.close(), pacer.close(), times.close()]);
    expect(await admin.call('ACL', 'LOG')).toEqual([]);
    const keys = await admin.keys('*');
    expect(keys.filter((key) => !key.startsWith('kuik:'))).toEqual([]);
    expect(keys).toEqual(expect.arrayContaining(['kuik:pace:h:5000', 'kuik:park:h:5000', 'kuik:time:checked']));
    expect(await admin.pttl('kuik:park:h:5000')).toBeGreaterThan(0);
    expect(await admin.pttl('kuik:pace:h:5000')).toBeGreaterThan(0);
  });

  it('a password that changed is read again from its file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'kuik-redis-'));
    cleanUp.push(() => rmSync(folder, { recursive: true }));
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, 'one\n');
    await admin.call('ACL', 'SETUSER', 'rotating', 'on', '>one', '~kuik:*', '+@all');
    const lines: string[] = [];
    const log = { debug: () => undefined, info: () => undefined, error: () => undefined };
    const warn = (message: string, fields?: object): unknown => lines.push(message + JSON.stringify(fields));
    const url = `redis://127.0.0.1:${redis.port}/0`;
    const times = keep(createTimeStore({ url, username: 'rotating', passwordFile }, { log: { ...log, warn } }));
    await times.set('checked', [['rotating', 1]]);
    await admin.call('ACL', 'SETUSER', 'rotating', 'resetpass', '>two');
    await admin.call('CLIENT', 'KILL', 'USER', 'rotating');
    await until(() => lines.length > 0, { what: 'the refusal to be told' });
    writeFileSync(passwordFile, 'two\n');
    await until(async () => (await times.get('checked', ['rotating']).catch(() => []))[0] === 1, {
      what: 'the new password to be used',
    });
    expect(lines.join()).not.toMatch(/\b(one|two)\b/);
  });

  it('a thousand intents at once, before there is a connection, are a thousand jobs', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): unknown => warnings.push(warning.message);
    process.on('warning', onWarning);
    cleanUp.push(() => process.off('warning', onWarning));
    const producer = keep(createProducer(freshQueue(), { url: redis.url('pod-watcher') }));
    const taken = await Promise.all(
      Array.from({ length: 1_000 }, (_, id) => producer.enqueue(copy(`u${id}`), { timeoutMs: 10_000 })),
    );
    expect(taken.every(Boolean)).toBe(true);
    expect(await producer.counts()).toEqual({ waiting: 1_000, active: 0, delayed: 0 });
    await producer.close();
    expect(warnings).toEqual([]);
  });

  it('a link that is closed waits for its open connections, not for one that somebody ended before', async () => {
    const link = new RedisLink({ url: redis.url('monitor') }, { patient: true, purpose: 'test' }, {});
    cleanUp.push(() => link.close());
    const copy = link.client.duplicate();
    await until(() => link.ready && copy.status === 'ready', { what: 'both connections' });
    copy.disconnect();
    await once(copy, 'end');
    const timers = jest.spyOn(globalThis, 'setTimeout');
    cleanUp.push(() => timers.mockRestore());
    link.close();
    expect(timers).toHaveBeenCalledTimes(1);
    await once(link.client, 'end');
  });

  it('what is set apart wins over the URL', async () => {
    const own = new URL(redis.url('monitor'));
    const times = keep(
      createTimeStore({
        url: `redis://nobody:wrong@127.0.0.1:${redis.port}/0`,
        username: own.username,
        password: own.password,
      }),
    );
    await times.set('checked', [['apart', 1]]);
    expect(() => createTimeStore({ url: 'nowhere' })).toThrow('redis.url is not a URL');
  });

  it('a password file that is not there is told at once', () => {
    expect(() => createTimeStore({ url: redis.url('monitor'), passwordFile: '/nowhere/password' })).toThrow(
      'redis.passwordFile /nowhere/password cannot be read (ENOENT)',
    );
  });
});
