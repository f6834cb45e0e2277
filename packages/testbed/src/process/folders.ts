import { mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';

/** The checkout this testbed belongs to. */
export const CHECKOUT = path.resolve(import.meta.dirname, '../../../..');
const STATE = path.join(CHECKOUT, '.kuik');
const RUNS_KEPT = 5;

let current: string | undefined;

/**
 * The folder of this run's logs: `.kuik/runs/<time>-<pid>`, or what KUIK_RUN_FOLDER says (a test run's processes share one).
 * Making one removes all but the last five of runs that ended.
 */
export function runFolder(): string {
  current ??= process.env['KUIK_RUN_FOLDER'] ?? makeRunFolder();
  return current;
}

function makeRunFolder(): string {
  const runs = path.join(STATE, 'runs');
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  const folder = path.join(runs, `${time}-${process.pid}`);
  mkdirSync(folder, { recursive: true });
  const ended = readdirSync(runs)
    .sort()
    .slice(0, -RUNS_KEPT)
    .filter((name) => !isAlive(Number(name.split('-').at(-1))));
  for (const name of ended) rmSync(path.join(runs, name), { recursive: true, force: true });
  return folder;
}

/** A new, empty folder for one server's data; those of processes that are gone are removed. */
export function dataFolder(name: string): string {
  const data = path.join(STATE, 'data');
  const mine = path.join(data, String(process.pid));
  mkdirSync(mine, { recursive: true });
  for (const owner of readdirSync(data)) {
    if (!isAlive(Number(owner))) rmSync(path.join(data, owner), { recursive: true, force: true });
  }
  return mkdtempSync(path.join(mine, `${name}-`));
}

/** Throws away the data of this process's servers, keys included: none of them runs any more. */
export function removeData(): void {
  rmSync(path.join(STATE, 'data', String(process.pid)), { recursive: true, force: true });
}

/** Opens a log file of its own in the run's folder: `nats.log`, `nats-2.log`, ... */
export function openLog(name: string): { fd: number; file: string } {
  const folder = runFolder();
  mkdirSync(folder, { recursive: true });
  for (let n = 1; ; n++) {
    const file = path.join(folder, n === 1 ? `${name}.log` : `${name}-${n}.log`);
    try {
      return { fd: openSync(file, 'ax'), file };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
