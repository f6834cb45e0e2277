import type { Problem } from './story/step.ts';

/** Where a checklist is written: a terminal gets one live line, anything else plain lines. */
export interface Screen {
  readonly isTTY: boolean;
  readonly columns: number;
  write(text: string): void;
}

const TICK_MS = 100;
const LABEL_WIDTH = 10;

/** Seconds with one decimal below ten, whole above: `0.9 s`, `41 s`, `3m10s`. */
export function seconds(ms: number): string {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const whole = Math.round(ms / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
}

/** Bytes for a person: `41.2 MiB`. */
export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]!}`;
}

/** `sha256:52ab..`: enough of a digest for a person to compare. */
export function short(digest: string | undefined): string {
  return digest === undefined ? 'nothing' : `${digest.slice(0, 15)}..`;
}

/**
 * A live checklist. One line is under way at a time: on a terminal it shows what it waits for and since when; on anything else it is
 * written once, when it ended.
 */
export class Checklist {
  readonly #screen: Screen;
  readonly #now: () => number;
  #live: { head: string; waitingFor: string; since: number; timer: NodeJS.Timeout | undefined } | undefined;

  constructor(screen: Screen, now: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#now = now;
  }

  line(text = ''): void {
    this.#screen.write(`${text}\n`);
  }

  /** Runs one labelled piece of work; `describe` turns its result into the rest of the line. */
  async section<T>(
    label: string,
    work: (waitingFor: (what: string) => void) => Promise<T>,
    describe: (result: T, ms: number) => string,
  ): Promise<T> {
    const since = this.#begin(`  ${label.padEnd(LABEL_WIDTH)} `);
    try {
      const result = await work((what) => this.#waitFor(what));
      this.#end(`  ${label.padEnd(LABEL_WIDTH)} ${describe(result, this.#now() - since)}`);
      return result;
    } catch (error) {
      this.#end(`  ${label.padEnd(LABEL_WIDTH)} failed after ${seconds(this.#now() - since)}`);
      throw error;
    }
  }

  /** Runs one numbered step; returns whether it held. What was cut short by `signal` is not called a failure. */
  async step(
    number: number,
    work: (waitingFor: (what: string) => void) => Promise<{ problems: Problem[]; lines: string[] }>,
    title: string,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const head = `  ${String(number).padStart(2)} `;
    const since = this.#begin(`${head}...  ${title}`);
    let problems: Problem[];
    let lines: string[] = [];
    try {
      ({ problems, lines } = await work((what) => this.#waitFor(what)));
    } catch (error) {
      problems = [{ what: title, expected: 'no error', seen: error instanceof Error ? error.message : String(error) }];
    }
    const took = seconds(this.#now() - since);
    if (problems.length > 0 && signal?.aborted === true) {
      this.#end(`${head}--   ${title}  (interrupted after ${took})`);
      return false;
    }
    this.#end(`${head}${problems.length === 0 ? 'ok  ' : 'FAIL'} ${title}  (${took})`);
    for (const text of lines) this.line(`          ${text}`);
    for (const problem of problems) {
      this.line(`          ${problem.what}`);
      this.line(`            expected  ${problem.expected}`);
      this.line(`            seen      ${problem.seen}`);
    }
    return problems.length === 0;
  }

  #begin(head: string): number {
    const since = this.#now();
    this.#live = { head, waitingFor: '', since, timer: undefined };
    if (this.#screen.isTTY) {
      this.#live.timer = setInterval(() => this.#draw(), TICK_MS);
      this.#draw();
    }
    return since;
  }

  #waitFor(what: string): void {
    if (this.#live !== undefined) this.#live.waitingFor = what;
  }

  #draw(): void {
    if (this.#live === undefined) return;
    const { head, waitingFor, since } = this.#live;
    const text = `${head}  ${waitingFor === '' ? '' : `waiting for ${waitingFor}  `}${seconds(this.#now() - since)}`;
    this.#screen.write(`\r\x1b[2K${text.slice(0, Math.max(20, this.#screen.columns - 1))}`);
  }

  #end(text: string): void {
    clearInterval(this.#live?.timer);
    this.#screen.write(this.#screen.isTTY ? `\r\x1b[2K${text}\n` : `${text}\n`);
    this.#live = undefined;
  }
}
