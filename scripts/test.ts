import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import {
  NODE_PARTS,
  obtainParts,
  PartMissing,
  PartsProgress,
  REQUIRED_PARTS,
  runFolder,
  STORY_PARTS,
  whyNotHere,
} from '../packages/testbed/src/index.ts';
import { FULL_SIZE_VARIABLE } from '../packages/tooling/src/full-size.ts';
import { buildServices } from './build-services.ts';
import {
  countsOf,
  readRequest,
  refuseEmpty,
  succeeded,
  suiteLine,
  sum,
  summary,
  type Counts,
  type JestResult,
  type Suite,
} from './suites.ts';

// `npm test`: the real parts, the services' bundles, then the suites one after the other.
const CHECKOUT = path.resolve(import.meta.dirname, '..');
const request = readRequest(process.argv.slice(2));
let running: ChildProcess | undefined;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
    running?.kill(signal);
  });
}

/** Runs one suite with its output on the terminal; its result is read from the file that jest writes. */
async function runSuite(suite: Suite, folder: string): Promise<Counts> {
  const output = path.join(folder, `${suite.name}.json`);
  rmSync(output, { force: true });
  const args = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    path.join(CHECKOUT, 'node_modules/jest/bin/jest.js'),
    '-c',
    `packages/tooling/jest.${suite.name}.mjs`,
    '--json',
    `--outputFile=${output}`,
    ...request.jestArgs,
  ];
  const env = { ...process.env, KUIK_RUN_FOLDER: folder, ...(request.full ? { [FULL_SIZE_VARIABLE]: '1' } : {}) };
  // jest prints its report to stderr, and would print the whole result to stdout.
  const child = spawn(process.execPath, args, { cwd: CHECKOUT, env, stdio: ['ignore', 'ignore', 'inherit'] });
  running = child;
  await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  running = undefined;
  try {
    return countsOf(JSON.parse(readFileSync(output, 'utf8')) as JestResult);
  } catch {
    return countsOf(undefined);
  }
}

/** What the suites run on; a bundle that cannot be made is a failure, yet no reason not to run the rest. */
async function prepare(): Promise<Counts> {
  const progress = new PartsProgress();
  const stories = request.suites.some(({ name }) => name === 'stories');
  // A real node is for machines that can have one.
  const node = stories && whyNotHere().length === 0;
  await obtainParts([...REQUIRED_PARTS, ...(stories ? STORY_PARTS : []), ...(node ? NODE_PARTS : [])], progress);
  progress.end();
  const since = performance.now();
  let failed = 0;
  try {
    await buildServices();
  } catch (error) {
    failed = 1;
    console.error((error as Error).message);
  }
  console.log(`  services   ${failed ? 'not ' : ''}built  ${((performance.now() - since) / 1000).toFixed(1)} s\n`);
  return { passed: 0, failed, skipped: 0 };
}

async function main(): Promise<boolean> {
  const folder = runFolder();
  const all: Counts[] = [];
  if (request.suites.some((suite) => suite.onRealParts)) all.push(await prepare());
  const lines: string[] = [];
  for (const suite of request.suites) {
    if (interrupted) break;
    console.log(`${suite.name}${request.full ? ' (full)' : ''}`);
    const start = performance.now();
    const counts = refuseEmpty(await runSuite(suite, folder), request);
    all.push(counts);
    lines.push(suiteLine(suite, counts, performance.now() - start, request.full));
    console.log(`${lines.at(-1)}\n`);
  }
  const total = sum(all);
  if (lines.length > 1) console.log(lines.join('\n'));
  console.log(`  logs         ${path.relative(CHECKOUT, folder)}`);
  if (total.passed === 0) console.log('nothing was tested');
  console.log(summary(total));
  return succeeded(total) && !interrupted;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof PartMissing ? `cannot go on: ${error.message}` : error);
  console.log(summary({ passed: 0, failed: 1, skipped: 0 }));
  process.exitCode = 1;
}
