import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { CHECKOUT } from '../process/folders.ts';
import { readVersion, type GoModule, type PartEntry } from './catalogue.ts';
import { PartMissing } from './find.ts';
import { goEnvironment } from './go-environment.ts';

const GO_NEEDED = [1, 26] as const;
const run = promisify(execFile);

/** How far a build is: `total` is unknown (0) while modules are downloaded. */
export interface BuildProgress {
  readonly done: number;
  readonly total: number;
}

/**
 * Builds one pinned Go module and renames the program into place, so that a half-built one is never found.
 * Throws PartMissing when Go is missing or too old, or the build fails (with the compiler's last words).
 */
export async function buildPart(
  entry: PartEntry & { source: GoModule },
  target: string,
  cache: string,
  onProgress: (progress: BuildProgress) => void,
): Promise<void> {
  const env = goEnvironment(cache);
  const cwd = path.join(CHECKOUT, 'packages/testbed/parts', entry.source.folder);
  await checkGo(entry, env);
  onProgress({ done: 0, total: 0 });
  mkdirSync(path.dirname(target), { recursive: true });
  const unfinished = `${target}.${process.pid}`;
  try {
    const total = await countPackages(entry, cwd, env);
    await compile(entry, unfinished, cwd, env, (done) => {
      onProgress({ done: Math.min(done, total), total });
    });
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, target);
  } finally {
    rmSync(unfinished, { force: true });
  }
}

type Environment = Record<string, string | undefined>;

async function checkGo(entry: PartEntry, env: Environment): Promise<void> {
  const needed = GO_NEEDED.join('.');
  let output: string;
  try {
    output = (await run('go', ['version'], { env })).stdout;
  } catch {
    const install = process.platform === 'darwin' ? 'brew install go' : 'see https://go.dev/dl/';
    throw new PartMissing(
      `${entry.name} has to be built and \`go\` is not on PATH: install Go >= ${needed} (${install})`,
    );
  }
  const [major, minor] = readVersion(output.replace(/^go version go/, '')) ?? [0, 0];
  if (major < GO_NEEDED[0] || (major === GO_NEEDED[0] && minor < GO_NEEDED[1])) {
    throw new PartMissing(
      `${entry.name} needs Go >= ${needed} to be built; this is ${output.trim()} (https://go.dev/dl/)`,
    );
  }
}

/** Downloads the modules too. */
async function countPackages(entry: PartEntry & { source: GoModule }, cwd: string, env: Environment): Promise<number> {
  try {
    const { stdout } = await run('go', ['list', ...tags(entry), '-deps', entry.source.package], {
      cwd,
      env,
      maxBuffer: 64 << 20,
    });
    return stdout.trim().split('\n').length;
  } catch (error) {
    throw buildFailure(entry, String((error as { stderr?: string }).stderr ?? error));
  }
}

function compile(
  entry: PartEntry & { source: GoModule },
  output: string,
  cwd: string,
  env: Environment,
  onPackage: (done: number) => void,
): Promise<void> {
  const ldflags = ['-s', '-w', entry.source.ldflags ?? ''].join(' ').trim();
  const args = ['build', '-v', '-trimpath', ...tags(entry), '-ldflags', ldflags, '-o', output, entry.source.package];
  const child = spawn('go', args, { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let done = 0;
  const lastWords: string[] = [];
  const lines = createInterface({ input: child.stderr });
  lines.on('line', (line) => {
    // `-v` names each package, alone on its line, when it is compiled.
    if (/^[\w./~-]+$/.test(line)) onPackage(++done);
    else lastWords.push(line);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(buildFailure(entry, lastWords.join('\n')));
    });
  });
}

function tags({ source }: PartEntry & { source: GoModule }): string[] {
  return source.tags ? ['-tags', source.tags.join(',')] : [];
}

function buildFailure(entry: PartEntry, output: string): PartMissing {
  const tail = output.trim().split('\n').slice(-8).join('\n  ');
  return new PartMissing(`${entry.name} v${entry.version} could not be built:\n  ${tail}`);
}
