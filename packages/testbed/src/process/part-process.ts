import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import type { PartProcess } from '../port.ts';
import { openLog } from './folders.ts';
import { forgetProcess, wakeReaper, watchFolder, watchProcess } from './reaper.ts';
import { GiveUp, until } from './until.ts';

/** How one server is started. Everything in it is the same at every restart. */
export interface Launch {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The whole environment besides PATH, HOME and TMPDIR. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly port: number;
  /** Resolves when the server answers; throws (or returns false) while it does not. */
  readonly check: () => Promise<unknown>;
  /** Removed by `stop`. */
  readonly folders?: readonly string[];
  readonly readyTimeoutMs?: number;
  /** How long SIGTERM may take; default 5 s. */
  readonly stopTimeoutMs?: number;
}

/** A server ended before it was ready; the message holds its last log lines. */
export class PartExited extends GiveUp {
  override readonly name = 'PartExited';
}

/** The one implementation of PartProcess: a child in a process group of its own, watched by the reaper. */
export class Part implements PartProcess {
  readonly name: string;
  readonly port: number;
  readonly logFile: string;
  readonly #launch: Launch;
  #child: ChildProcess | undefined;
  #stopped = false;

  /** Prepares; nothing runs before `start`. */
  constructor(launch: Launch) {
    this.#launch = launch;
    this.name = launch.name;
    this.port = launch.port;
    const log = openLog(launch.name);
    closeSync(log.fd);
    this.logFile = log.file;
  }

  get pid(): number {
    return this.running() ? (this.#child?.pid ?? 0) : 0;
  }

  running(): boolean {
    const child = this.#child;
    return child?.pid !== undefined && child.exitCode === null && child.signalCode === null;
  }

  /** Starts the process; does not wait until it is ready. */
  start(): void {
    if (this.running()) return;
    if (this.#stopped) throw new Error(`${this.name} was stopped for good`);
    const { command, args, cwd, env, folders = [] } = this.#launch;
    const mark = wakeReaper();
    const log = openSync(this.logFile, 'a');
    const child = spawn(command, [...args], {
      detached: true,
      stdio: ['ignore', log, log],
      env: { ...inherited(), ...env, ...mark },
      ...(cwd ? { cwd } : {}),
    });
    closeSync(log);
    this.#child = child;
    const { pid } = child;
    if (pid === undefined) {
      child.once('error', () => undefined);
      throw new PartExited(`${this.name} cannot be started: ${command} is missing or not executable`);
    }
    watchProcess(pid);
    for (const folder of folders) watchFolder(folder);
    child.once('exit', () => {
      forgetProcess(pid);
    });
    child.unref();
  }

  async ready(timeoutMs = this.#launch.readyTimeoutMs ?? 20_000): Promise<void> {
    try {
      await until(
        async () => {
          if (!this.running()) throw new PartExited(`${this.name} ended (${this.#ending()})${this.#lastLines()}`);
          return (await this.#launch.check()) !== false;
        },
        { what: `${this.name} on port ${this.port} to be ready`, timeoutMs, everyMs: 15 },
      );
    } catch (error) {
      if (error instanceof GiveUp) throw error;
      throw new Error(`${(error as Error).message}${this.#lastLines()}`, { cause: error });
    }
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child?.pid || !this.running()) return;
    signalGroup(child.pid, signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    await exited(child);
  }

  async restart(): Promise<void> {
    await this.#terminate();
    this.start();
    await this.ready();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#terminate();
    for (const folder of this.#launch.folders ?? []) rmSync(folder, { recursive: true, force: true });
  }

  async #terminate(): Promise<void> {
    const child = this.#child;
    if (!child?.pid || !this.running()) return;
    const { pid } = child;
    signalGroup(pid, 'SIGTERM');
    signalGroup(pid, 'SIGCONT');
    const tooLong = setTimeout(() => {
      signalGroup(pid, 'SIGKILL');
    }, this.#launch.stopTimeoutMs ?? 5_000);
    await exited(child);
    clearTimeout(tooLong);
  }

  #ending(): string {
    const child = this.#child;
    return child?.signalCode ?? `exit code ${child?.exitCode ?? 'unknown'}`;
  }

  #lastLines(): string {
    try {
      const lines = readFileSync(this.logFile, 'utf8').trimEnd().split('\n').slice(-12);
      return `\n--- ${this.logFile}\n${lines.join('\n')}`;
    } catch {
      return '';
    }
  }
}

/** Starts it and waits until it is ready; what did start is stopped when it never gets there. */
export async function startPart(launch: Launch): Promise<Part> {
  const part = new Part(launch);
  await begin(part);
  return part;
}

/** `startPart` for a Part made by the caller. */
export async function begin(part: Part): Promise<void> {
  try {
    part.start();
    await part.ready();
  } catch (error) {
    await part.stop();
    throw error;
  }
}

/** Runs `attempt` again (with new ports) when a server lost the race for its port. */
export async function withFreshPorts<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 4; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (
        left === 0 ||
        !(error instanceof PartExited) ||
        !/address already in use|EADDRINUSE|bind:/i.test(error.message)
      )
        throw error;
    }
  }
}

async function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.ref();
  await once(child, 'exit');
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function inherited(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ['PATH', 'HOME', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
