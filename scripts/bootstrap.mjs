// The way in: `npm start` and `npm test` run this with whatever Node a machine has (>= 18), and it needs nothing else.
// It gets pnpm and the dependencies, Node 24 among them, and runs scripts/start.ts or scripts/test.ts with that.
// Everything that tools keep goes into one cache folder; outside it and the checkout pnpm alone leaves something, two empty lock files:
// /tmp/pnpm-store-operation-locks-<uid>, whatever TMPDIR says.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants as fsConstants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants, homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PNPM = '12.21.0';
const NODE_NEEDED = 18;
const CHECKOUT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const TITLES = { start: 'local stack', test: 'tests', e2e: 'story on a cluster' };

/** Ends the bootstrap with a message for a person, not with a stack. */
class CannotGoOn extends Error {}

/** `$XDG_CACHE_HOME/kube-image-keeper`, else `~/.cache/kube-image-keeper` (packages/testbed reads it the same way). */
function cacheFolder() {
  if (process.env.KUIK_CACHE_FOLDER) return process.env.KUIK_CACHE_FOLDER;
  const base = process.env.XDG_CACHE_HOME ?? '';
  return path.join(path.isAbsolute(base) ? base : path.join(homedir(), '.cache'), 'kube-image-keeper');
}

/** Makes both folders that something is written to, or says which cannot be and what to do. */
function checkFolders(cache) {
  for (const [folder, remedy] of [
    [CHECKOUT, 'copy the checkout to where you may write'],
    [cache, 'name another one in KUIK_CACHE_FOLDER'],
  ]) {
    try {
      makeFolder(folder);
      accessSync(folder, fsConstants.W_OK);
    } catch (error) {
      throw new CannotGoOn(`${folder} cannot be written to (${error.code}): ${remedy}`);
    }
  }
}

/** One by one: in some places (below /proc) Node 20's `recursive` never ends. */
function makeFolder(folder) {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (error.code === 'EEXIST' || existsSync(folder)) return;
    if (error.code !== 'ENOENT' || existsSync(path.dirname(folder))) throw error;
    makeFolder(path.dirname(folder));
    mkdirSync(folder);
  }
}

function pnpmFolder(cache) {
  return path.join(cache, `pnpm-${PNPM}`);
}

/** What every tool that runs below this one sees: its state goes into the cache folder, it reports home to nobody. */
function environment(cache) {
  const home = path.join(cache, 'home');
  return {
    ...process.env,
    KUIK_USER_CONFIG_HOME: process.env.XDG_CONFIG_HOME ?? path.join(homedir(), '.config'),
    KUIK_CACHE_FOLDER: cache,
    XDG_CACHE_HOME: path.join(home, 'cache'),
    XDG_CONFIG_HOME: path.join(home, 'config'),
    XDG_STATE_HOME: path.join(home, 'state'),
    XDG_DATA_HOME: path.join(home, 'data'),
    HELM_CACHE_HOME: path.join(home, 'helm', 'cache'),
    HELM_CONFIG_HOME: path.join(home, 'helm', 'config'),
    HELM_DATA_HOME: path.join(home, 'helm', 'data'),
    NODE_COMPILE_CACHE: path.join(home, 'cache', 'node'),
    npm_config_cache: path.join(cache, 'npm'),
    npm_config_update_notifier: 'false',
    TURBO_TELEMETRY_DISABLED: '1',
    DO_NOT_TRACK: '1',
    // Node 24 first, then pnpm, which turbo starts.
    PATH: [
      path.join(CHECKOUT, 'node_modules', '.bin'),
      path.join(pnpmFolder(cache), 'node_modules', '.bin'),
      process.env.PATH,
    ].join(path.delimiter),
  };
}

/** A package manager's own environment keeps the person's settings: which registry to use, say. */
function packageManagerEnvironment(env) {
  return { ...env, XDG_CONFIG_HOME: env.KUIK_USER_CONFIG_HOME, PATH: process.env.PATH };
}

function checkTools(env) {
  const node = process.versions.node;
  if (Number(node.split('.')[0]) < NODE_NEEDED) {
    throw new CannotGoOn(
      `Node ${node} is too old: ${NODE_NEEDED} or newer is needed to begin with (https://nodejs.org)`,
    );
  }
  const found = [`node ${shortVersion(node)} ok`];
  // Both are needed only while something has still to be built or fetched, which then says so precisely.
  for (const [tool, args] of [
    ['go', ['version']],
    ['git', ['--version']],
  ]) {
    const result = spawnSync(tool, args, { encoding: 'utf8', env: { ...env, HOME: homedir() } });
    const version = /\d+\.\d+(\.\d+)?/.exec(result.stdout ?? '')?.[0];
    found.push(version ? `${tool} ${shortVersion(version)} ok` : `${tool} missing`);
  }
  return found.join(' · ');
}

function shortVersion(version) {
  return version.split('.').slice(0, 2).join('.');
}

/** Puts pnpm into the cache folder through npm; returns its program (a native one). */
async function obtainPnpm(cache, env) {
  const folder = pnpmFolder(cache);
  const program = path.join(folder, 'node_modules', '.bin', 'pnpm');
  await throughNpm(folder, program, `pnpm@${PNPM}`, env);
  return program;
}

/** Node 24 for a machine whose package the lockfile does not have: from whichever registry npm is told of, into the cache folder. */
async function obtainNode(cache, env) {
  const name = `node-${process.platform}-${process.arch}`;
  const { optionalDependencies = {} } = JSON.parse(readFileSync(path.join(CHECKOUT, 'package.json'), 'utf8'));
  const version = optionalDependencies[name];
  if (version === undefined) {
    throw new CannotGoOn(
      `no Node 24 package for ${process.platform}-${process.arch}: Linux and macOS, x64 and arm64 are supported`,
    );
  }
  const folder = path.join(cache, `node-${version}`);
  const program = path.join(folder, 'node_modules', name, 'bin', 'node');
  await throughNpm(folder, program, `${name}@${version}`, env);
  mkdirSync(path.dirname(nodeBinary()), { recursive: true });
  // What leads into a cache folder that was thrown away.
  rmSync(nodeBinary(), { force: true });
  symlinkSync(program, nodeBinary());
}

/** Installs one package into a folder of its own, unless its program is there. */
async function throughNpm(folder, program, wanted, env) {
  if (existsSync(program)) return;
  // Installed beside its place and renamed: a broken-off download is never taken for the program.
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  try {
    await runQuietly(
      'npm',
      ['install', '--prefix', unfinished, '--no-audit', '--no-fund', '--no-save', wanted],
      packageManagerEnvironment(env),
      `${wanted} could not be had through npm. Is a package registry reachable (npm ping)?`,
    );
    try {
      renameSync(unfinished, folder);
    } catch (error) {
      // Another run was faster.
      if (!existsSync(program)) throw error;
    }
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** Everything that decides what is in node_modules, as one hash. */
function dependencyHash() {
  const hash = createHash('sha256');
  const manifests = ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json', ...workspaces()];
  for (const file of manifests) hash.update(`${file}\n`).update(readFileSync(path.join(CHECKOUT, file)));
  return hash.digest('hex');
}

function workspaces() {
  const below = (folder) =>
    existsSync(path.join(CHECKOUT, folder))
      ? readdirSync(path.join(CHECKOUT, folder)).map((name) => `${folder}/${name}`)
      : [];
  return [...below('packages'), ...below('services'), 'e2e', 'bench']
    .map((folder) => `${folder}/package.json`)
    .filter((file) => existsSync(path.join(CHECKOUT, file)))
    .sort();
}

/** Installs what the lockfile says unless that is what is there; true when it had to. */
async function installDependencies(pnpm, cache, env) {
  const stamp = path.join(CHECKOUT, 'node_modules', '.kuik-dependencies');
  const wanted = dependencyHash();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && existsSync(nodeBinary())) return false;
  const folders = [
    `--store-dir=${path.join(cache, 'pnpm-store')}`,
    `--config.cache-dir=${path.join(cache, 'pnpm-cache')}`,
    `--config.state-dir=${path.join(cache, 'home', 'state', 'pnpm')}`,
  ];
  await runQuietly(
    pnpm,
    ['install', '--frozen-lockfile', ...folders],
    { ...packageManagerEnvironment(env), CI: 'true' },
    'the dependencies could not be installed.',
  );
  if (!existsSync(nodeBinary())) await obtainNode(cache, env);
  writeFileSync(stamp, wanted);
  return true;
}

function nodeBinary() {
  return path.join(CHECKOUT, 'node_modules', '.bin', 'node');
}

/** The one child that runs now, and the signal that was passed on to it. */
let running;
let interrupted;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interrupted = signal;
    // A terminal sends Ctrl-C to the whole foreground group: the child has it already.
    if (!(signal === 'SIGINT' && process.stdin.isTTY)) running?.kill(signal);
  });
}

/** Runs a tool whose output interests only when it fails. */
function runQuietly(command, args, env, failure) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: CHECKOUT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    running = child;
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => reject(new CannotGoOn(`${failure} (${error.message})`)));
    child.on('close', (code) => {
      if (code === 0) resolve();
      else if (interrupted) reject(new CannotGoOn(`interrupted by ${interrupted}`));
      else reject(new CannotGoOn(`${failure}\n${output.trim().split('\n').slice(-15).join('\n')}`));
    });
  });
}

/** Shows what a step is doing while it lasts, then its outcome and time. */
async function step(label, doing, work) {
  const since = Date.now();
  const prefix = `  ${label.padEnd(11)}`;
  const live = process.stdout.isTTY;
  const show = () => process.stdout.write(`\r${prefix}${doing} ${Math.round((Date.now() - since) / 1000)}s\x1b[K`);
  const timer = live && doing ? setInterval(show, 500) : undefined;
  try {
    const outcome = await work();
    const text = `${prefix}${outcome}`;
    process.stdout.write(`${live ? '\r\x1b[K' : ''}${text.padEnd(90)} ${((Date.now() - since) / 1000).toFixed(1)} s\n`);
  } finally {
    clearInterval(timer);
    if (live) process.stdout.write('\r\x1b[K');
  }
}

/** Runs the script on Node 24 and ends as it ends. */
function hand(script, args, env) {
  const child = spawn(nodeBinary(), [path.join('scripts', script), ...args], { cwd: CHECKOUT, env, stdio: 'inherit' });
  running = child;
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

async function main([command, ...args]) {
  if (!Object.hasOwn(TITLES, command ?? ''))
    throw new CannotGoOn('usage: node scripts/bootstrap.mjs start|test|e2e [arguments]');
  const cache = cacheFolder();
  const env = environment(cache);
  console.log(`kube-image-keeper: ${TITLES[command]}`);
  checkFolders(cache);
  await step('tools', '', async () => checkTools(env));
  let pnpm;
  await step('pnpm', `getting pnpm ${PNPM}`, async () => {
    pnpm = await obtainPnpm(cache, env);
    return `pnpm ${shortVersion(PNPM)} ok`;
  });
  await step('packages', 'installing dependencies', async () =>
    (await installDependencies(pnpm, cache, env)) ? 'dependencies installed' : 'dependencies ok',
  );
  return hand(`${command}.ts`, args, env);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    console.error(error instanceof CannotGoOn ? `cannot go on: ${error.message}` : error);
    process.exitCode = 1;
  },
);
