import { describe, expect, it, jest } from '@jest/globals';
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

  it('records progress twice a second, and none of what is over at once', async () => {
    let now = 1_000;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    const recorded: number[] = [];
    const work = async ({ progress }: { progress: (one: JobProgress) => Promise<void> }): Promise<Outcome> => {
      for (const [at, bytesDone] of [
        [1_000, 1],
        [1_499, 2],
        [1_500, 3],
        [1_999, 4],
        [2_000, 5],
      ] as const) {
        now = at;
        await progress({ bytesDone, bytesTotal: 9, step: String(bytesDone) });
      }
      return { do: 'done' };
    };
    await runJob(new RunningJobs().begin('1')!, {}, work, (one) => recorded.push(one.bytesDone), {});
    clock.mockRestore();
    expect(recorded).toEqual([3, 5]);
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
