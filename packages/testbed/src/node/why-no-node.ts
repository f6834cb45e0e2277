import { existsSync } from 'node:fs';
import { NODE_PARTS, partEntry } from '../parts/catalogue.ts';
import { findPart, howToGet } from '../parts/find.ts';

/** What of a machine decides whether it can have a real node. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly root: boolean;
  /** What is mounted at /sys/fs/cgroup is cgroups. */
  readonly cgroups: boolean;
  /** Programs of every Linux that this one lacks. */
  readonly lacking: readonly string[];
}

/** Programs that the node is put onto the machine with, and the Debian packages that have them. */
const PROGRAMS = { ip: 'iproute2', mount: 'mount', umount: 'mount' } as const;

/** Why this machine cannot have a real node, whatever is installed or built; nothing when it can. */
export function whyMachineCannot({ platform, root, cgroups, lacking }: Machine): string[] {
  if (platform !== 'linux') return [`a real node needs Linux, and this is ${platform}`];
  return [
    ...(root ? [] : ['a real node needs root (mounts, cgroups, network): run the command with sudo']),
    ...(cgroups ? [] : ['a real node needs cgroups at /sys/fs/cgroup']),
    ...lacking.map((program) => `a real node needs the program ${program}: install ${packageOf(program)}`),
  ];
}

/** The same of the machine that this runs on. */
export function whyNotHere(): string[] {
  return whyMachineCannot({
    platform: process.platform,
    root: process.getuid?.() === 0,
    cgroups: ['cgroup.controllers', 'memory', 'cpu'].some((name) => existsSync(`/sys/fs/cgroup/${name}`)),
    lacking: Object.keys(PROGRAMS).filter((name) => !isInstalled(name)),
  });
}

/** Everything that is missing to start a node here and now, parts included, with how to get each. */
export async function whyNoNode(): Promise<string[]> {
  const machine = whyNotHere();
  if (machine.length > 0) return machine;
  const missing = await Promise.all(
    NODE_PARTS.map(async (name) => ((await findPart(name)) ? [] : [howToGet(partEntry(name))])),
  );
  return missing.flat();
}

function isInstalled(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(`${folder}/${program}`));
}

function packageOf(program: string): string {
  return Object.hasOwn(PROGRAMS, program) ? PROGRAMS[program as keyof typeof PROGRAMS] : program;
}
