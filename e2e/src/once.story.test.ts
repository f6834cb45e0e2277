import { describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import path from 'node:path';
import { MAIN_JOB } from './story/main-job.ts';

const START = path.resolve(import.meta.dirname, '../../scripts/start.ts');
const SEED = Number(process.env['KUIK_SEED'] ?? Date.now() % 1_000_000);

function start(args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [START, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
    child.on('error', reject).on('close', (code) => resolve({ code, output }));
  });
}

describe('npm start -- --once', () => {
  it('fails when one step does not hold, and says which', async () => {
    const step = MAIN_JOB[SEED % MAIN_JOB.length]!;
    const breakage = step.breakages[SEED % step.breakages.length]!;
    console.log(`broken: ${step.id}, ${breakage} (KUIK_SEED=${SEED} repeats it)`);
    const { code, output } = await start(['--once', '--break', `${step.id}:${breakage}`]);
    expect(output).toContain(`FAIL ${step.title}`);
    expect(output).toMatch(/expected .*\n.* seen /);
    expect(output).not.toContain('steps held');
    expect(code).toBe(1);
  });

  it('refuses an upstream that does not exist', async () => {
    const { code, output } = await start(['--once', '--upstream', 'nowhere']);
    expect(output).toContain('--upstream nowhere: must be builtin or none');
    expect(code).toBe(1);
  });
});
