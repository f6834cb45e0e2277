import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import type { PartEntry, SystemPackage } from './catalogue.ts';
import { howToGet, PartMissing } from './find.ts';

/** Installs system packages with apt-get, as root; elsewhere throws PartMissing with the exact line to run. */
export async function installSystemParts(
  entries: readonly (PartEntry & { source: SystemPackage })[],
  say: (line: string) => void,
): Promise<void> {
  const packages = entries.map((entry) => entry.source.apt);
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    throw new PartMissing(entries.map(howToGet).join('\n'));
  }
  say(`installing system packages ${packages.join(' ')} (apt-get)`);
  const since = performance.now();
  await aptGet(['update', '-qq']);
  await aptGet(['install', '-y', '-qq', '--no-install-recommends', ...packages]);
  say(`system packages installed in ${Math.round((performance.now() - since) / 1000)}s`);
}

async function aptGet(args: readonly string[]): Promise<void> {
  // A freshly installed server must not be started as a service of the system.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const child = spawn('apt-get', [...args], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk) => (output += String(chunk)));
  const code = await new Promise((resolve) => child.on('close', resolve).on('error', () => resolve(-1)));
  if (code !== 0) throw new PartMissing(`\`apt-get ${args.join(' ')}\` failed:\n  ${output.trim().slice(-1000)}`);
}

function onPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(path.delimiter).some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
