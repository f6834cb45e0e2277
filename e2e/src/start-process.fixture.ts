import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { until } from '@kuik/testbed';

const CHECKOUT = path.resolve(import.meta.dirname, '../..');
const START = path.join(CHECKOUT, 'scripts/start.ts');

/** `npm start` as a process: what a person gets, without the bootstrap. */
export class StartProcess {
  output = '';
  /** For what it writes; removed by `stop`. */
  readonly #folder = mkdtempSync(path.join(tmpdir(), 'kuik-start-'));
  readonly #child;
  readonly #closed: Promise<unknown>;

  constructor(args: readonly string[]) {
    const env = { ...process.env, KUIK_LOCAL_FOLDER: this.#folder };
    this.#child = spawn(process.execPath, [START, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.on('data', (chunk) => (this.output += String(chunk)));
    this.#closed = once(this.#child, 'close');
  }

  /** Waits until it has printed a text; throws with all that it printed when it ends before, or takes too long. */
  async says(text: string, timeoutMs: number): Promise<void> {
    const said = (): boolean => this.output.includes(text);
    await until(() => said() || this.#child.exitCode !== null, { what: `"${text}"`, timeoutMs }).catch(() => undefined);
    if (!said()) throw new Error(`npm start did not say "${text}":\n${this.output}`);
  }

  /** What `local.env` says. */
  environment(): Map<string, string> {
    const lines = readFileSync(path.join(this.#folder, 'local.env'), 'utf8').trimEnd().split('\n');
    return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  }

  /** Whether anything is left of its servers' data and of what its services prove themselves with. */
  get leftData(): boolean {
    return existsSync(path.join(CHECKOUT, '.kuik/data', String(this.#child.pid)));
  }

  /** Ends it if it still runs, and removes what it wrote. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null) await this.interrupt();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Its exit code, once it has ended by itself. */
  async ended(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }

  /** Ctrl-C. */
  interrupt(): Promise<number | null> {
    this.#child.kill('SIGINT');
    return this.ended();
  }
}
