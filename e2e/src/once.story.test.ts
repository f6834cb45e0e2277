import { describe, expect, it } from '@jest/globals';
import { StartProcess } from './start-process.fixture.ts';
import { MAIN_JOB } from './story/main-job.ts';

const SEED = Number(process.env['KUIK_SEED'] ?? Date.now() % 1_000_000);

describe('npm start -- --once', () => {
  it('fails when one step does not hold, and says which', async () => {
    const step = MAIN_JOB[SEED % MAIN_JOB.length]!;
    const breakage = step.breakages[SEED % step.breakages.length]!;
    console.log(`broken: ${step.id}, ${breakage} (KUIK_SEED=${SEED} repeats it)`);
    const start = new StartProcess(['--once', '--break', `${step.id}:${breakage}`]);
    const code = await start.ended();
    expect(start.output).toContain(`FAIL ${step.title}`);
    expect(start.output).toMatch(/expected .*\n.* seen /);
    expect(start.output).not.toContain('steps held');
    expect(code).toBe(1);
  });

  it('refuses an upstream that does not exist', async () => {
    const start = new StartProcess(['--once', '--upstream', 'nowhere']);
    expect(await start.ended()).toBe(1);
    expect(start.output).toContain('--upstream nowhere: must be builtin or none');
  });
});
