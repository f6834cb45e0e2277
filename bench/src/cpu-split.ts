import { readFileSync } from 'node:fs';
import { cpuSeconds } from './process-cpu.ts';
import { processTree } from './process-tree.ts';

/** CPU seconds so far: of the stack's own processes and servers, and of the registries at both ends. */
export interface CpuSplit {
  readonly stack: number;
  readonly registries: number;
}

/** Of everything that this process started and that still runs, itself left out; Linux only. */
export function cpuSplit(): CpuSplit {
  let [stack, registries] = [0, 0];
  for (const pid of processTree(process.pid).slice(1)) {
    try {
      const seconds = cpuSeconds(pid);
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'registry') registries += seconds;
      else stack += seconds;
    } catch {
      // It ended while we looked.
    }
  }
  return { stack, registries };
}

/** What was spent since. */
export function spentSince(before: CpuSplit): CpuSplit {
  const now = cpuSplit();
  return { stack: now.stack - before.stack, registries: now.registries - before.registries };
}
