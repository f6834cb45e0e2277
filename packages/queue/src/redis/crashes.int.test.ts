import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { CopyJob, JobQueue } from '@kuik/contracts';
import { startRedis, until } from '@kuik/testbed';
import type { RedisServer } from '@kuik/testbed';
import { copy, DONE, freshQueue } from '../conformance/room.ts';
import type { BlobTurnsOptions } from '../port.ts';
import { createBlobTurns } from './blob-turns.ts';
import { createProducer } from './producer.ts';
import { createWorker } from './worker.ts';

const WORKER = fileURLToPath(new URL('../fixtures/worker-process.ts', import.meta.url));
const TURN = fileURLToPath(new URL('../fixtures/turn-process.ts', import.meta.url));
/** Lock 2 s; two looks, 1 s apart, until a silent job is moved; and some for a busy machine. */
const TAKEOVER_MS = 20_000;

let redis: RedisServer;
const cleanUp: (() => unknown)[] = [];
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});
afterAll(() => redis.stop());

const startWorker = (queue: JobQueue<CopyJob>, mode: 'hold' | 'finish') => startProgram(WORKER, queue.queue, mode);

function startProgram(program: string, ...args: string[]) {
  const child = spawn(process.execPath, [program, redis.url('image-copier'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const events: string[] = [];
  child.stdout.on('data', (chunk) => events.push(...String(chunk).trimEnd().split('\n')));
  const kill = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  cleanUp.push(() => kill());
  return {
    child,
    events,
    kill,
    says: (event: string) => until(() => events.includes(event), { what: `"${event}"`, timeoutMs: TAKEOVER_MS }),
  };
}

function producerOf(queue: JobQueue<CopyJob>) {
  const producer = createProducer(queue, { url: redis.url('pod-watcher') });
  cleanUp.push(() => producer.close());
  return producer;
}

describe('the job of a worker that dies', () => {
  it('is taken over, and again when that one dies too; what was raised meanwhile runs after it', async () => {
    const queue = freshQueue();
    const producer = producerOf(queue);
    const first = startWorker(queue, 'hold');
    await producer.enqueue({ ...copy('a'), reason: 'First' });
    await first.says('started First');
    await producer.enqueue({ ...copy('a'), reason: 'Second' });
    const second = startWorker(queue, 'hold');
    await first.kill();
    await second.says('started First');
    const third = startWorker(queue, 'finish');
    await second.kill();
    await third.says('started Second');
    expect(third.events.filter((event) => event.startsWith('started'))).toEqual(['started First', 'started Second']);
    await until(async () => (await producer.counts()).active === 0, { what: 'the end' });
    expect(await producer.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
  });

  it('that only froze is aborted there when it wakes, and stays the other worker’s', async () => {
    const queue = freshQueue();
    const producer = producerOf(queue);
    const frozen = startWorker(queue, 'hold');
    await producer.enqueue({ ...copy('a'), reason: 'First' });
    await frozen.says('started First');
    frozen.child.kill('SIGSTOP');
    const other = startWorker(queue, 'hold');
    await other.says('started First');
    frozen.child.kill('SIGCONT');
    await frozen.says('ended lost');
    expect(frozen.events).toContain('aborted');
    expect(await producer.counts()).toEqual({ waiting: 0, active: 1, delayed: 0 });
    expect(other.events).toEqual(['started First']);
  });

  it('is given back at once when it stops in order, and the process ends', async () => {
    const queue = freshQueue();
    const producer = producerOf(queue);
    const first = startWorker(queue, 'hold');
    await producer.enqueue({ ...copy('a'), reason: 'First' });
    await first.says('started First');
    await first.kill('SIGTERM');
    expect(first.events.slice(1)).toEqual(['aborted', 'ended interrupted', 'closed']);
    expect(first.child.exitCode).toBe(0);
    expect(await producer.counts()).toEqual({ waiting: 1, active: 0, delayed: 0 });
  });
});

describe('the turn of a worker', () => {
  const HOST = 'registry.example';
  const signal = new AbortController().signal;
  const workers = (options: BlobTurnsOptions = {}) => {
    const turns = createBlobTurns({ url: redis.url('image-copier') }, { lockMs: 1_000, ...options });
    cleanUp.push(() => turns.close());
    return turns.of(HOST);
  };

  it('that dies is the next one’s when its lock ends', async () => {
    const doomed = startProgram(TURN, HOST, 'sha256:doomed');
    await doomed.says('bring');
    const waiting = workers().take('sha256:doomed', { except: [], signal });
    await doomed.kill();
    expect((await waiting).do).toBe('bring');
  });

  it('that froze ends nobody else’s turn when it wakes, and what it brought is known', async () => {
    const frozen = startProgram(TURN, HOST, 'sha256:frozen');
    await frozen.says('bring');
    frozen.child.kill('SIGSTOP');
    const [one, two] = [workers(), workers()];
    const turn = await one.take('sha256:frozen', { except: [], signal });
    expect(turn.do).toBe('bring');
    frozen.child.kill('SIGCONT');
    frozen.child.stdin.write('late/app\n');
    await frozen.says('ended');
    expect(await two.take('sha256:frozen', { except: [], signal })).toEqual({ do: 'look', in: ['late/app'] });
    const startedMs = performance.now();
    const patient = await workers({ waitMs: 1_500 }).take('sha256:frozen', { except: ['late/app'], signal });
    expect([patient.do, performance.now() - startedMs > 1_490]).toEqual(['bring', true]);
  });
});

describe('a Redis', () => {
  const url = () => redis.url('image-copier');
  function workerOf(queue: JobQueue<CopyJob>, seen: string[]) {
    const worker = createWorker(
      queue,
      { url: url() },
      async (job) => {
        seen.push(job.payload.uid);
        return DONE;
      },
      { concurrency: 2, lockMs: 2_000, stallCheckMs: 1_000 },
    );
    cleanUp.push(() => worker.close(0));
    return worker;
  }

  it('that is down at the start is waited for, and no intent hangs', async () => {
    await redis.kill();
    const queue = freshQueue();
    const seen: string[] = [];
    const producer = producerOf(queue);
    const worker = workerOf(queue, seen);
    const startedMs = performance.now();
    expect(await Promise.all([1, 2, 3].map((id) => producer.enqueue(copy(`u${id}`), { timeoutMs: 500 })))).toEqual([
      false,
      false,
      false,
    ]);
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(worker.ready()).toBe(false);
    const unused = workerOf(queue, seen);
    await unused.close(5_000);
    expect(performance.now() - startedMs).toBeLessThan(2_500);
    await redis.restart();
    await until(() => worker.ready(), { what: 'the worker' });
    expect(await producer.enqueue(copy('later'))).toBe(true);
    await until(() => seen.includes('later'), { what: 'the job' });
  });

  it('that answers nobody does not hold an intent up, and is left for a new connection', async () => {
    const queue = freshQueue();
    const seen: string[] = [];
    const producer = producerOf(queue);
    const worker = workerOf(queue, seen);
    expect(await producer.enqueue(copy('a'))).toBe(true);
    await until(() => seen.length === 1, { what: 'the first job' });
    await redis.kill('SIGSTOP');
    const startedMs = performance.now();
    expect(await producer.enqueue(copy('b'), { timeoutMs: 300 })).toBe(false);
    await expect(producer.counts({ timeoutMs: 300 })).rejects.toMatchObject({ code: 'unavailable' });
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    await until(() => !worker.ready(), { what: 'the silent connection to be given up' });
    await redis.kill('SIGCONT');
    await until(() => worker.ready(), { what: 'the worker' });
    await until(() => producer.enqueue(copy('c')), { what: 'an intent to be taken', timeoutMs: 20_000 });
    await until(() => seen.includes('c'), { what: 'the job', timeoutMs: 20_000 });
  }, 60_000);

  it('that lost everything gets it again, also of what runs', async () => {
    const queue = freshQueue();
    const seen: string[] = [];
    const release = Promise.withResolvers<void>();
    const producer = producerOf(queue);
    const worker = createWorker(
      queue,
      { url: url() },
      async (job) => {
        seen.push(job.payload.reason);
        if (seen.length === 1) await release.promise;
        return DONE;
      },
      { concurrency: 2, lockMs: 2_000, stallCheckMs: 1_000 },
    );
    cleanUp.push(() => worker.close(0));
    await producer.enqueue({ ...copy('a'), reason: 'First' });
    await until(() => seen.length === 1, { what: 'the first run' });
    await redis.flush();
    release.resolve();
    await until(() => worker.active() === 0, { what: 'its end' });
    expect(await producer.enqueue({ ...copy('a'), reason: 'Second' })).toBe(true);
    await until(() => seen.length === 2, { what: 'the second run', timeoutMs: 15_000 });
    expect(seen).toEqual(['First', 'Second']);
  });
});
