import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICES } from '@kuik/contracts';
import { whyNotHere } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { NODE_STORY } from './node/node-story.ts';
import { StartProcess } from './start-process.fixture.ts';
import { MAIN_JOB } from './story/main-job.ts';

const SEED = Number(process.env['KUIK_SEED'] ?? Date.now() % 1_000_000);

const WHERE = [
  'KUBECONFIG',
  'PROXY_URL',
  'WEBHOOK_URL',
  'CACHE_URL',
  'UPSTREAM_URL',
  'FAULTS_URL',
  'NATS_URL',
  'REDIS_URL',
];

/** What broke is told at once, and nothing after it: the later, the longer. `main-job.story` breaks every step in every way. */
const STEPS = MAIN_JOB.slice(0, sized({ usual: 3, full: MAIN_JOB.length }));
const step = STEPS[SEED % STEPS.length]!;
const breakage = step.breakages[SEED % step.breakages.length]!;

let good: StartProcess;
let broken: StartProcess;
// Side by side: each waits more than it works.
beforeAll(() => {
  console.log(`broken: ${step.id}, ${breakage} (KUIK_SEED=${SEED} repeats it)`);
  good = new StartProcess(['--once']);
  broken = new StartProcess(['--once', '--break', `${step.id}:${breakage}`]);
});
afterAll(() => Promise.all([good, broken].map((start) => start.stop())));

describe('npm start -- --once', () => {
  it('ends with 0 when every step held, and has written where everything is', async () => {
    const code = await good.ended();
    expect(good.output).toContain(`All ${MAIN_JOB.length} steps held.`);
    expect(code).toBe(0);
    expect(good.leftData).toBe(false);
    const env = good.environment();
    const metrics = SERVICES.map((service) => `METRICS_${service.toUpperCase().replaceAll('-', '_')}`);
    expect([...env.keys()]).toEqual(expect.arrayContaining([...WHERE, ...metrics]));
    for (const name of [...WHERE.slice(1), ...metrics])
      for (const url of env.get(name)!.split(',')) expect([name, URL.canParse(url)]).toEqual([name, true]);
    expect(readFileSync(env.get('KUBECONFIG')!, 'utf8')).toContain('current-context');
  });

  it('fails when one step does not hold, and says which', async () => {
    const code = await broken.ended();
    expect(broken.output).toContain(`FAIL ${step.title}`);
    expect(broken.output).toMatch(/expected .*\n.* seen /);
    expect(broken.output).not.toContain('steps held');
    expect(code).toBe(1);
  });

  // The steps are real-node.story's; here it is the command, which takes a machine's one node for most of a minute.
  if (sized({ usual: false, full: true }) && whyNotHere().length === 0)
    it('tells the story of a real node with --node', async () => {
      const start = new StartProcess(['--once', '--node']);
      try {
        expect([await start.ended(), start.output]).toEqual([
          0,
          expect.stringContaining(`All ${NODE_STORY.length} steps held.`),
        ]);
        expect(start.leftData).toBe(false);
      } finally {
        await start.stop();
      }
    }, 300_000);

  it('refuses an upstream that does not exist', async () => {
    const start = new StartProcess(['--once', '--upstream', 'nowhere']);
    try {
      expect(await start.ended()).toBe(2);
      expect(start.output).toBe('npm start: --upstream nowhere: must be builtin or none\n');
    } finally {
      await start.stop();
    }
  });
});
