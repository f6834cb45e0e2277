import { readFileSync, watch, type FSWatcher } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { z } from 'zod';
import { ConfigError } from './config-error.ts';
import type { Metrics, MetricSpec } from './metrics.ts';
import type { Logger, Part } from './port.ts';
import { loopPart, reportRounds, type LoopMetrics } from './report-rounds.ts';
import { parseSettings } from './settings-tree.ts';

/** The declared metrics of a followed file: `reloads` with label `result` (applied, refused). */
export interface FollowMetrics extends LoopMetrics {
  readonly reloads: MetricSpec;
}

export interface FollowOptions<S extends z.ZodObject> {
  /** For log and metrics: `rules`. */
  readonly name: string;
  /** YAML; undefined: the schema's defaults, for ever. */
  readonly file: string | undefined;
  readonly schema: S;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly specs: FollowMetrics;
  /** How often the file is read when nobody says that it changed; default 10 s. */
  readonly everyMs?: number;
}

/** Settings that change while the process runs. */
export interface FollowedSettings<T> extends Part {
  /** The settings in force. */
  readonly current: T;
  /** Told of each change that is taken over, until the part closes. */
  onChange(listener: (settings: T) => void): void;
}

const EVERY_MS = 10_000;
/** An editor, and a kubelet that swaps a ConfigMap, make several events of one change. */
const DEBOUNCE_MS = 50;

/**
 * Reads a file of settings and, once started, follows it: told by its folder (a mounted ConfigMap is swapped by a link beside the file),
 * and by reading it again now and then. Throws ConfigError with every mistake when the file cannot be used at all. A later version with
 * mistakes is refused in one line and one count, and the settings in force stay; so they do while the file cannot be read.
 */
export function followSettings<S extends z.ZodObject>(
  options: FollowOptions<S>,
): FollowedSettings<Readonly<z.output<S>>> {
  const { file, name, schema } = options;
  const text = file === undefined ? '' : textOf(file);
  const initial = parseSettings(schema, text, file ?? `defaults of ${name}`);
  const read = (changed: string): Readonly<z.output<S>> => parseSettings(schema, changed, file!);
  return new Follower({ ...options, initial, read });
}

export interface FollowerOptions<T> extends Pick<
  FollowOptions<z.ZodObject>,
  'name' | 'file' | 'log' | 'metrics' | 'specs' | 'everyMs'
> {
  readonly initial: T;
  /** What a changed text comes to; throws ConfigError. */
  readonly read: (text: string) => T;
  /** Files that the settings name, whose changes count as theirs; seen by reading them now and then. */
  readonly files?: (settings: T) => readonly string[];
}

/** Follows one file; what it holds is `read`'s business. */
export class Follower<T> implements FollowedSettings<T> {
  readonly name: string;
  readonly #options: FollowerOptions<T>;
  readonly #listeners: ((settings: T) => void)[] = [];
  readonly #loop: Part | undefined;
  /** What was read last, of the file and of those that it names. */
  #seen: readonly string[] = [];
  #current: T;
  #watcher: FSWatcher | undefined;
  #soon: NodeJS.Timeout | undefined;

  constructor(options: FollowerOptions<T>) {
    const { name, file, initial, log, metrics, specs, everyMs = EVERY_MS } = options;
    this.name = name;
    this.#options = options;
    this.#current = initial;
    if (file !== undefined) this.#seen = this.#withNamed(textOf(file));
    if (file === undefined) return;
    this.#loop = loopPart({
      name: `follow-${name}`,
      everyMs,
      // Spread over the replicas, which all read what a node's kubelet brought at once.
      tick: async () => {
        this.#take(file, await readFile(file, 'utf8'));
        return { afterMs: everyMs * (0.5 + Math.random()) };
      },
      onRound: reportRounds(log, metrics, specs),
    });
  }

  get current(): T {
    return this.#current;
  }

  onChange(listener: (settings: T) => void): void {
    this.#listeners.push(listener);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { file } = this.#options;
    if (file !== undefined) this.#watch(file);
    await this.#loop?.start?.(signal);
  }

  async close(): Promise<void> {
    this.#watcher?.close();
    clearTimeout(this.#soon);
    await this.#loop?.close?.();
  }

  #watch(file: string): void {
    const look = (): void => {
      let text: string;
      try {
        text = readFileSync(file, 'utf8');
      } catch {
        // In the middle of a swap; the loop reads it again, and says so when it cannot.
        return;
      }
      this.#take(file, text);
    };
    try {
      this.#watcher = watch(path.dirname(file), { persistent: false }, () => {
        clearTimeout(this.#soon);
        this.#soon = setTimeout(look, DEBOUNCE_MS);
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // Without it the loop alone follows the file, later.
    }
  }

  #take(file: string, text: string): void {
    const { name, read, log, metrics, specs } = this.#options;
    const seen = this.#withNamed(text);
    if (seen.length === this.#seen.length && seen.every((one, at) => one === this.#seen[at])) return;
    this.#seen = seen;
    const reloads = metrics.counter(specs.reloads);
    try {
      this.#current = read(text);
      // It may name other files now: those are what was seen of it.
      this.#seen = this.#withNamed(text);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      reloads.inc({ result: 'refused' });
      const mistakes = error.mistakes.map((mistake) => `${mistake.path}: ${mistake.reason}`);
      log.error(`${name} refused, those in force stay`, { file, mistakes });
      return;
    }
    log.info(`${name} reloaded`, { file });
    try {
      for (const listener of this.#listeners) listener(this.#current);
    } catch (error) {
      // A file that they name, say: whoever could not take them over goes on as before.
      reloads.inc({ result: 'refused' });
      log.error(`${name} cannot be taken over`, { file, error });
      return;
    }
    reloads.inc({ result: 'applied' });
  }

  /** The text, and those of the files that the settings in force name; of one that cannot be read nothing. */
  #withNamed(text: string): readonly string[] {
    const named = this.#options.files?.(this.#current) ?? [];
    return [text, ...named.map((file) => textOrNothing(file))];
  }
}

function textOrNothing(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new ConfigError(file, [{ path: '(whole file)', reason: `cannot read it: ${code}` }]);
  }
}
