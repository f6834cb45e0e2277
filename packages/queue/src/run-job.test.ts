import { describe, expect, it } from '@jest/globals';
import type { JobEnd, JobProgress, Outcome } from './port.ts';
import { runJob } from './run-job.ts';
import { RunningJobs } from './running-jobs.ts';

const ended = (outcome: Outcome) => async (): Promise<Outcome> => outcome;
const thrown = (message: string) => (): never => {
  throw new Error(message);
};

describe('runJob', () => {
  it.each<[string, (jobs: RunningJobs) => void, () => Promise<Outcome>, object, JobEnd]>([
    ['done', () => undefined, ended({ do: 'done' }), { do: 'complete' }, 'done'],
    ['parked', () => undefined, ended({ do: 'park', afterMs: 5, reason: 'r' }), { do: 'delay', ms: 5 }, 'parked'],
    ['failed', () => undefined, ended({ do: 'fail', reason: 'r' }), { do: 'fail', reason: 'r' }, 'failed'],
    ['thrown', () => undefined, thrown('boom'), { do: 'fail', reason: 'boom' }, 'failed'],
    ['thrown after an abort', (jobs) => jobs.abortAll('stop'), thrown('boom'), { do: 'return' }, 'interrupted'],
    ['done in spite of an abort', (jobs) => jobs.abortAll('stop'), ended({ do: 'done' }), { do: 'complete' }, 'done'],
    ['thrown without a lock', (jobs) => jobs.lose(['1']), thrown('boom'), { do: 'leave' }, 'lost'],
    ['done without a lock', (jobs) => jobs.lose(['1']), ended({ do: 'done' }), { do: 'leave' }, 'lost'],
  ])('%s', async (_, before, work, ending, end) => {
    const jobs = new RunningJobs();
    const job = jobs.begin('1')!;
    before(jobs);
    const ends: JobEnd[] = [];
    expect(await runJob(job, {}, work, () => undefined, { ended: (one) => ends.push(one) })).toEqual(ending);
    expect(ends).toEqual([end]);
  });

  it('records the first progress, each new step, and else one in half a second', async () => {
    const recorded: JobProgress[] = [];
    const say = (bytesDone: number, step: string) => ({ bytesDone, bytesTotal: 9, step });
    const work = async ({ progress }: { progress: (one: JobProgress) => Promise<void> }): Promise<Outcome> => {
      for (const one of [say(1, 'blobs'), say(2, 'blobs'), say(3, 'manifest'), say(4, 'manifest')]) await progress(one);
      return { do: 'done' };
    };
    await runJob(new RunningJobs().begin('1')!, {}, work, (one) => recorded.push(one), {});
    expect(recorded.map(({ bytesDone }) => bytesDone)).toEqual([1, 3]);
  });
});

describe('RunningJobs', () => {
  it('refuses a job whose earlier run has not ended', () => {
    const jobs = new RunningJobs();
    const job = jobs.begin('1')!;
    jobs.lose(['1', 'unknown']);
    expect([job.lost, job.signal.aborted]).toEqual([true, true]);
    expect(jobs.begin('1')).toBeUndefined();
    jobs.end(job);
    expect(jobs.begin('1')?.lost).toBe(false);
  });

  it('is idle when all ended, and not before', async () => {
    const jobs = new RunningJobs();
    expect(await jobs.idleWithin(0)).toBe(true);
    const [one, two] = [jobs.begin('1')!, jobs.begin('2')!];
    jobs.end(one);
    expect(await jobs.idleWithin(10)).toBe(false);
    const idle = jobs.idleWithin(1_000);
    jobs.end(two);
    expect(await idle).toBe(true);
  });
});
