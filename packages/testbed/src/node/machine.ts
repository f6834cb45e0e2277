import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { SERVICE_SUBNET } from '../control-plane/apiserver-flags.ts';
import { until } from '../process/until.ts';
import { makeGroups, processesInGroups, removeGroups } from './cgroups.ts';
import {
  BRIDGE,
  CNI_RESULTS,
  CONTAINER_LOGS,
  FOLDERS_ELSEWHERE,
  KERNEL_SETTINGS,
  MARK,
  NETWORK,
  NODE_ADDRESS,
  nodeFolder,
  SHIM_SOCKETS,
} from './traces.ts';

const run = promisify(execFile);

/** How the machine was before it had a node. */
export interface MachineBefore {
  /** Kernel settings by their path below /proc/sys. */
  readonly settings: ReadonlyMap<string, string>;
  /** Folders that were not there. */
  readonly absent: readonly string[];
}

/** Puts the address on `lo`, makes those of Services this machine's, makes the cgroup, and remembers what there was. */
export async function prepareMachine(): Promise<MachineBefore> {
  const before = {
    settings: new Map(
      KERNEL_SETTINGS.filter((name) => existsSync(setting(name))).map((name) => [
        name,
        readFileSync(setting(name), 'utf8').trim(),
      ]),
    ),
    absent: FOLDERS_ELSEWHERE.filter((folder) => !existsSync(folder)),
  };
  makeGroups();
  await run('ip', ['address', 'replace', `${NODE_ADDRESS}/32`, 'dev', 'lo']);
  await run('ip', ['route', 'replace', 'local', SERVICE_SUBNET, 'dev', 'lo']);
  return before;
}

/**
 * Removes everything that a node leaves: processes, mounts, cgroups, its bridge and address, its folder, and, when it is known how the
 * machine was before, kernel settings and folders elsewhere. Does nothing where nothing is. Throws with all that could not be removed.
 */
export async function removeTraces(before?: MachineBefore): Promise<void> {
  const steps: readonly (readonly [string, () => unknown])[] = [
    ['processes', endProcesses],
    ['mounts', removeMounts],
    ['cgroups', () => until(() => (removeGroups(), true), { what: 'its cgroups to be empty', timeoutMs: 5_000 })],
    ['network', removeNetwork],
    ['folder', () => run('rm', ['-rf', '--one-file-system', nodeFolder()])],
    ['files elsewhere', () => removeFilesElsewhere(before?.absent ?? [])],
    ['kernel settings', () => before?.settings.forEach(putBack)],
  ];
  const problems: string[] = [];
  for (const [what, remove] of steps) {
    try {
      await remove();
    } catch (error) {
      problems.push(`${what}: ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new Error(`the node left traces on this machine: ${problems.join('; ')}`);
}

/** Marked ones (containerd, its shims, kubelet and what they start) and those of containers. */
export function nodeProcesses(): number[] {
  const marked = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && isMarked(pid));
  return [...new Set([...marked, ...processesInGroups()])].filter((pid) => pid !== process.pid);
}

function isMarked(pid: number): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'utf8')}`.includes(`\0${MARK}=`);
  } catch {
    return false;
  }
}

/** Again and again: one that is being killed may start another. */
async function endProcesses(): Promise<void> {
  await until(
    () => {
      const left = nodeProcesses();
      for (const pid of left) kill(pid);
      return left.length === 0;
    },
    { what: 'its processes to end', timeoutMs: 10_000 },
  );
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

async function removeMounts(): Promise<void> {
  const points = mountsBelow(nodeFolder());
  if (points.length > 0) await run('umount', ['--no-mtab', '--lazy', ...points.reverse()]);
}

/** Mount points below a folder, each after what it is mounted on (proc_pid_mountinfo(5): fifth field, blanks and the like in octal). */
export function mountsBelow(folder: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((point) => point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))))
    .filter((point) => point.startsWith(`${folder}/`));
}

async function removeNetwork(): Promise<void> {
  if (existsSync(`/sys/class/net/${BRIDGE}`)) await run('ip', ['link', 'delete', BRIDGE]);
  const { stdout } = await run('ip', ['-o', '-4', 'address', 'show', 'dev', 'lo']);
  if (stdout.includes(` ${NODE_ADDRESS}/32 `))
    await run('ip', ['address', 'delete', `${NODE_ADDRESS}/32`, 'dev', 'lo']);
  const { stdout: local } = await run('ip', ['route', 'show', 'table', 'local', 'root', SERVICE_SUBNET]);
  if (local.trim() !== '') await run('ip', ['route', 'delete', 'local', SERVICE_SUBNET, 'dev', 'lo']);
}

/** Where others may have theirs, too, only the node's own goes: sockets that nobody listens on, results of its network, links into its folder. */
function removeFilesElsewhere(absentBefore: readonly string[]): void {
  for (const folder of absentBefore) rmSync(folder, { recursive: true, force: true });
  const bound = readFileSync('/proc/net/unix', 'utf8');
  removeFrom(SHIM_SOCKETS, (file) => !bound.includes(file));
  removeFrom(CNI_RESULTS, (file) => path.basename(file).startsWith(`${NETWORK}-`));
  removeFrom(CONTAINER_LOGS, (file) => target(file).startsWith(nodeFolder()));
}

function removeFrom(folder: string, isOurs: (file: string) => boolean): void {
  if (!existsSync(folder)) return;
  const files = readdirSync(folder).map((name) => path.join(folder, name));
  for (const file of files) if (isOurs(file)) rmSync(file, { force: true });
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

/** Only what is another one now: where nothing was changed, writing may not even be allowed. */
function putBack(value: string, name: string): void {
  if (readFileSync(setting(name), 'utf8').trim() !== value) writeFileSync(setting(name), value);
}

function setting(name: string): string {
  return `/proc/sys/${name}`;
}
