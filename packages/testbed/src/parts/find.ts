import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import type { PartName } from '../port.ts';
import { overrideVariable, partEntry, readVersion, type PartEntry } from './catalogue.ts';

export interface FoundPart {
  readonly path: string;
  readonly from: 'override' | 'path' | 'cache';
}

/** Thrown when a part is not there (or not the right one); the message says how to get it. */
export class PartMissing extends Error {
  override readonly name = 'PartMissing';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `$XDG_CACHE_HOME/kube-image-keeper`, else `~/.cache/kube-image-keeper`: where parts and what tools keep go. */
export function cacheFolder(env: Environment = process.env): string {
  // The bootstrap gives tools a cache folder of their own, inside ours.
  if (env['KUIK_CACHE_FOLDER']) return env['KUIK_CACHE_FOLDER'];
  const base = env['XDG_CACHE_HOME'] ?? '';
  return path.join(path.isAbsolute(base) ? base : path.join(homedir(), '.cache'), 'kube-image-keeper');
}

/** Where a part is kept once built: `<cache>/parts/<name>-v<version>/<name>`. */
export function cachedPartPath(entry: PartEntry, env: Environment = process.env): string {
  return path.join(cacheFolder(env), 'parts', `${entry.name}-v${entry.version}`, entry.name);
}

/**
 * Finds a part without building anything: environment override, PATH when its version will do, cache folder.
 * undefined when it is nowhere; throws PartMissing for an override that names no program.
 */
export async function findPart(name: PartName, env: Environment = process.env): Promise<FoundPart | undefined> {
  const entry = partEntry(name);
  const override = env[overrideVariable(name)];
  if (override) {
    if (!isProgram(override)) throw new PartMissing(`${overrideVariable(name)}=${override} is not an executable file`);
    return { path: override, from: 'override' };
  }
  const { folders = searchPath(env) } = entry.source;
  const program = (entry.source.kind === 'system' ? entry.source.program : undefined) ?? name;
  for (const folder of folders) {
    const candidate = path.join(folder, program);
    if (isProgram(candidate) && (await versionWillDo(candidate, entry))) return { path: candidate, from: 'path' };
  }
  const cached = cachedPartPath(entry, env);
  return isProgram(cached) ? { path: cached, from: 'cache' } : undefined;
}

const found = new Map<PartName, Promise<string>>();

/** Path of a part that must be there; remembered. Throws PartMissing with what to do. */
export function requirePart(name: PartName): Promise<string> {
  let answer = found.get(name);
  if (!answer) {
    answer = findPart(name).then((part) => {
      if (part) return part.path;
      throw new PartMissing(howToGet(partEntry(name)));
    });
    answer.catch(() => found.delete(name));
    found.set(name, answer);
  }
  return answer;
}

/** One line: what is missing and how to get it. */
export function howToGet(entry: PartEntry): string {
  const instead = `or set ${overrideVariable(entry.name)} to its path`;
  if (entry.source.kind === 'go') {
    return `${entry.name} v${entry.version} is not built yet: run \`npm test\` or \`npm start\` once (they build it), ${instead}`;
  }
  const { apt, brew } = entry.source;
  const command =
    process.platform === 'darwin' && brew
      ? `brew install ${brew}`
      : `sudo apt-get install -y --no-install-recommends ${apt}`;
  return `${entry.name} >= ${entry.version} is missing: run \`${command}\`, ${instead}`;
}

// Debian keeps some servers in sbin, which an ordinary user's PATH lacks.
function searchPath(env: Environment): string[] {
  const folders = (env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  return [...new Set([...folders, '/usr/local/sbin', '/usr/sbin'])];
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return existsSync(file) && statSync(file).isFile();
  } catch {
    return false;
  }
}

async function versionWillDo(file: string, entry: PartEntry): Promise<boolean> {
  const output = await new Promise<string>((resolve) => {
    execFile(file, [...entry.versionArgs], { timeout: 10_000 }, (_error, stdout, stderr) => {
      // Some print the path they were called by, which may hold a version of its own.
      resolve((stdout + stderr).replaceAll(file, ''));
    });
  });
  const version = readVersion(output);
  return version !== undefined && entry.accepts(version);
}
