import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CGROUP } from './traces.ts';

const MOUNTED_AT = '/sys/fs/cgroup';
/** What kubelet wants of a group, where the kernel has it. */
const CONTROLLERS = ['cpu', 'cpuset', 'memory', 'hugetlb', 'pids', 'io'];

/** The node's group in every hierarchy: one with cgroup v2, one for each controller with v1. Not all need to exist. */
export function nodeGroups(root = MOUNTED_AT): string[] {
  if (existsSync(path.join(root, 'cgroup.controllers'))) return [path.join(root, CGROUP)];
  return subfolders(root)
    .filter((hierarchy) => existsSync(path.join(hierarchy, 'cgroup.procs')))
    .map((hierarchy) => path.join(hierarchy, CGROUP));
}

/** Makes the groups; kubelet makes those of pods below them. */
export function makeGroups(root = MOUNTED_AT): void {
  const offered = path.join(root, 'cgroup.controllers');
  if (existsSync(offered)) {
    const known = readFileSync(offered, 'utf8').trim().split(' ');
    const wanted = CONTROLLERS.filter((controller) => known.includes(controller)).map((controller) => `+${controller}`);
    writeFileSync(path.join(root, 'cgroup.subtree_control'), wanted.join(' '));
  }
  for (const group of nodeGroups(root)) mkdirSync(group, { recursive: true });
}

/** Processes in the groups and all below. */
export function processesInGroups(): number[] {
  const all = nodeGroups()
    .flatMap(withAllBelow)
    .map((group) => path.join(group, 'cgroup.procs'));
  return [...new Set(all.flatMap((file) => lines(file).map(Number)))];
}

/** Removes the groups, the innermost first. Throws while something still runs in one. */
export function removeGroups(): void {
  for (const group of nodeGroups().flatMap(withAllBelow).reverse()) rmdirSync(group);
}

/** A group and those below it, each after its parent; none when it does not exist. */
function withAllBelow(group: string): string[] {
  if (!existsSync(group)) return [];
  return [group, ...subfolders(group).flatMap(withAllBelow)];
}

function subfolders(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => path.join(folder, name));
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}
