import { describe, expect, it } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { cachedPartPath, partEntry, REQUIRED_PARTS } from '@kuik/testbed';
import { parse } from 'yaml';

const CHECKOUT = path.resolve(import.meta.dirname, '../..');
const FOLDER = path.join(CHECKOUT, '.github/workflows');

interface Step {
  id?: string;
  uses?: string;
  run?: string;
  with?: Record<string, unknown>;
}
interface Workflow {
  on: object;
  jobs: Record<string, { 'runs-on': string; steps: Step[] }>;
}

const WORKFLOWS = readdirSync(FOLDER).map((file) => {
  const workflow = parse(readFileSync(path.join(FOLDER, file), 'utf8')) as Workflow;
  return [file, workflow, Object.values(workflow.jobs)] as const;
});
/** What runs the tests, and with them the real parts. */
const RUNS_TESTS = /\.ci\/run|npm test|npm start/;

describe.each(WORKFLOWS)('%s', (_file, workflow, jobs) => {
  const steps = jobs.flatMap((job) => job.steps);

  it('is a workflow whose files and commands exist', () => {
    expect(workflow.on).toBeDefined();
    expect(steps.length).toBeGreaterThan(0);
    const scripts = steps.map(({ uses, run: script }) => {
      expect([uses, script].filter((text) => text !== undefined)).toHaveLength(1);
      if (uses !== undefined) expect(uses).toMatch(/^[\w-]+\/[\w./-]+@v\d+/);
      return script ?? '';
    });
    const named = scripts.flatMap((script) => [
      ...script.matchAll(/(?:^|\s)((?:\.ci|scripts|charts|e2e|packages|deploy)\/[\w./-]+)/g),
    ]);
    expect(named.length).toBeGreaterThan(0);
    expect(named.map(([, name]) => name!).filter((name) => !existsSync(path.join(CHECKOUT, name)))).toEqual([]);
    for (const [, command] of scripts.join('\n').matchAll(/bootstrap\.mjs (\w+)/g))
      expect(existsSync(path.join(CHECKOUT, 'scripts', `${command}.ts`))).toBe(true);
  });

  // A runner's user is not root: nothing installs system packages for it.
  it('installs the system parts before it runs on real parts', () => {
    const needed = REQUIRED_PARTS.map(partEntry).flatMap(({ source }) => (source.kind === 'system' ? source.apt : []));
    expect(needed).not.toEqual([]);
    for (const job of jobs) {
      const first = job.steps.findIndex(({ run }) => RUNS_TESTS.test(run ?? ''));
      const before = job.steps.slice(0, Math.max(first, 0)).map(({ run }) => run ?? '');
      const installed = before.flatMap((script) =>
        [...script.matchAll(/sudo apt-get install ([^&|;\n]+)/g)].flatMap(([, words]) => words!.split(/\s+/)),
      );
      expect(first === -1 ? needed : installed).toEqual(expect.arrayContaining(needed));
    }
  });

  it('uses the helm that the chart is tested with', () => {
    for (const { uses, with: options } of steps.filter((step) => step.uses?.startsWith('azure/setup-helm')))
      expect({ uses, version: options?.['version'] }).toEqual({ uses, version: `v${partEntry('helm').version}` });
  });
});

it('some workflow runs the tests', () => {
  const scripts = WORKFLOWS.flatMap(([, , jobs]) => jobs.flatMap((job) => job.steps.map(({ run }) => run ?? '')));
  expect(scripts.filter((script) => RUNS_TESTS.test(script))).not.toEqual([]);
});

describe('the servers that were built', () => {
  const steps = WORKFLOWS.flatMap(([, , jobs]) => jobs.flatMap((job) => job.steps));
  const position = (action: RegExp): number => steps.findIndex(({ uses, run }) => action.test(uses ?? run ?? ''));
  const [restore, save] = [position(/^actions\/cache\/restore@/), position(/^actions\/cache\/save@/)];

  it('are kept between runs as soon as they are built, whatever the tests say afterwards', () => {
    expect(restore).toBeGreaterThan(-1);
    expect(save).toBeGreaterThan(restore);
    expect(position(/\.ci\/run/)).toBeGreaterThan(save);
    expect(steps[save]!.with).toEqual({
      path: steps[restore]!.with!['path'],
      key: `\${{ steps.${steps[restore]!.id}.outputs.cache-primary-key }}`,
    });
  });

  it('are kept where they are looked for, and built anew when what they are built from changes', () => {
    const { path: folder, key } = steps[restore]!.with!;
    const [server] = REQUIRED_PARTS.map(partEntry).filter(({ source }) => source.kind === 'go');
    expect(cachedPartPath(server!, { XDG_CACHE_HOME: '/home/.cache' })).toContain(String(folder).replace('~', '/home'));
    const hashed = [...String(key).matchAll(/'([^']+)'/g)].map(([, pattern]) => pattern!);
    expect(hashed).toEqual(['packages/testbed/parts/**', 'packages/testbed/src/parts/catalogue.ts']);
    expect(hashed.filter((pattern) => !existsSync(path.join(CHECKOUT, pattern.replace('/**', ''))))).toEqual([]);
  });
});
