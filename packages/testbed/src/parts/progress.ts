import type { PartName } from '../port.ts';
import type { BuildProgress } from './build-part.ts';
import type { ObtainReport } from './obtain.ts';

/** Where progress is written: standard output, or a test. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const WIDTH = 14;
const LABEL = '  parts      ';
const INDENT = ' '.repeat(LABEL.length);
/** Without a terminal, a line now and then shows that it is alive. */
const PLAIN_EVERY_MS = 30_000;

/** `[=======>      ] 812/1490 packages  3m10s` */
export function progressBar({ done, total }: BuildProgress, elapsedMs: number): string {
  const time = duration(elapsedMs);
  if (total === 0) return `downloading modules  ${time}`;
  const filled = Math.min(WIDTH, Math.floor((done / total) * WIDTH));
  const bar = filled === WIDTH ? '='.repeat(WIDTH) : `${'='.repeat(filled)}>`.padEnd(WIDTH);
  return `[${bar}] ${done}/${total} packages  ${time}`;
}

/** `9s`, `3m10s` */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, '0')}s`;
}

/** Shows how the parts come: one line per build, rewritten in place on a terminal, and one for all that were there. */
export class PartsProgress implements ObtainReport {
  readonly #out: Terminal;
  readonly #clock: () => number;
  readonly #ready: string[] = [];
  #lines = 0;
  #current: { name: PartName; text: string; since: number; shown: number } | undefined;

  constructor(out: Terminal = process.stdout, clock: () => number = () => performance.now()) {
    this.#out = out;
    this.#clock = clock;
  }

  building(name: PartName, version: string, progress: BuildProgress): void {
    const now = this.#clock();
    if (this.#current?.name !== name) this.#current = { name, text: '', since: now, shown: -Infinity };
    const current = this.#current;
    current.text = `${name} ${version} building ${progressBar(progress, now - current.since)}`;
    if (now - current.shown < (this.#out.isTTY ? 100 : PLAIN_EVERY_MS)) return;
    current.shown = now;
    if (this.#out.isTTY) this.#out.write(`\r${this.#prefix()}${current.text}\x1b[K`);
    else this.#line(current.text);
  }

  waiting(name: PartName, pid: number): void {
    this.#line(`waiting for another run (pid ${pid}) that is building ${name}`);
  }

  installing(line: string): void {
    this.#line(line);
  }

  have(name: PartName, _path: string, built: boolean): void {
    if (!built) {
      this.#ready.push(`${name} ok`);
      return;
    }
    const since = this.#current?.name === name ? this.#current.since : this.#clock();
    this.#current = undefined;
    this.#line(`${name} built in ${duration(this.#clock() - since)}`);
  }

  /** Prints what was there from the beginning. */
  end(): void {
    if (this.#ready.length > 0) this.#line(this.#ready.join(' · '));
  }

  #line(text: string): void {
    this.#out.write(`${this.#out.isTTY ? '\r\x1b[K' : ''}${this.#prefix()}${text}\n`);
    this.#lines++;
  }

  #prefix(): string {
    return this.#lines === 0 ? LABEL : INDENT;
  }
}
