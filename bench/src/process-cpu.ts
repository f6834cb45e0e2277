import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks of /proc on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU seconds (user and system, all threads) that a process has used so far; Linux only. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command's name may hold spaces and brackets: fields are counted from its end (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * CPU seconds of a process's threads so far, as the scheduler counts them: to the nanosecond, where the clock of `cpuSeconds` looks once per tick and so misses or
 * doubles work that is shorter. Threads that have ended are not in it. Linux only (Documentation/scheduler/sched-stats.rst).
 */
export function scheduledSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + onCpuNs(pid, thread), 0) / 1e9;
}

function onCpuNs(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  } catch {
    // It ended while we looked.
    return 0;
  }
}

/** Resident memory of a process in MiB; Linux only. */
export function residentMiB(pid: number): number {
  return statusMiB(pid, 'VmRSS');
}

/** The most that was ever resident, MiB; Linux only. */
export function peakMiB(pid: number): number {
  return statusMiB(pid, 'VmHWM');
}

function statusMiB(pid: number, field: string): number {
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
