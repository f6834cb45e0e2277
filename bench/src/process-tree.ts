import { readdirSync, readFileSync } from 'node:fs';
import { residentMiB, scheduledSeconds } from './process-cpu.ts';

/** A process and everything it started that still runs; Linux only. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended while we looked.
    }
  }
  const tree = [root];
  for (const pid of tree) tree.push(...[...parents].filter(([, parent]) => parent === pid).map(([child]) => child));
  return tree;
}

/** CPU seconds of a process tree so far. */
export function treeCpuSeconds(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + scheduledSeconds(pid), 0);
}

/** Resident memory of a process tree in MiB. */
export function treeResidentMiB(root: number): number {
  return processTree(root).reduce((sum, pid) => sum + residentMiB(pid), 0);
}
