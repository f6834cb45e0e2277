import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { holderOf, isAlive } from '../process/pid-file.ts';

export interface LockOptions {
  /** Called once when another live process holds the lock. */
  readonly onWait?: (pid: number) => void;
  readonly everyMs?: number;
}

/** Runs `work` while no other process holds the lock file. A lock whose holder died is taken over. */
export async function withLock<T>(file: string, work: () => Promise<T>, options: LockOptions = {}): Promise<T> {
  mkdirSync(path.dirname(file), { recursive: true });
  let waiting = false;
  while (!tryLock(file)) {
    // None while the holder is still writing, or when the lock has just been given back.
    const holder = holderOf(file);
    if (holder !== undefined && !isAlive(holder)) {
      breakLock(file, holder);
      continue;
    }
    if (!waiting && holder !== undefined) {
      waiting = true;
      options.onWait?.(holder);
    }
    await sleep(options.everyMs ?? 500);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function tryLock(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves the dead holder's lock aside first, so that of two processes that see it only one removes it. */
function breakLock(file: string, holder: number): void {
  const aside = `${file}.${holder}.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return;
  }
  const moved = holderOf(aside);
  // Somebody took the lock between our look and our move: it is theirs.
  if (moved !== undefined && moved !== holder) renameSync(aside, file);
  else rmSync(aside, { force: true });
}
