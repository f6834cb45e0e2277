import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** What the keeper says, one JSON line each. */
export type KeeperNews = { waitingFor: number } | { held: true } | { failed: string };

export interface KeeperOptions {
  /** How long another node on this machine may take to end. */
  readonly waitMs: number;
  /** Told once when another process (its pid) has a node. */
  readonly onWait?: (pid: number) => void;
}

/**
 * The machine's one place for a node, held by a process that outlives this one: when its standard input ends, by `release` or because
 * this process is gone, however it went, it removes everything that a node leaves on the machine, and then gives the place back.
 */
export class Keeper {
  readonly #child: ChildProcess;
  readonly #news: AsyncIterator<string>;
  #released: Promise<void> | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#news = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  }

  /** Waits for the place. The address is on `lo` then and the cgroup is there. Throws with who has it when the time is up. */
  static async take({ waitMs, onWait }: KeeperOptions): Promise<Keeper> {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'keeper-main.ts'), String(waitMs)], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' },
    });
    const keeper = new Keeper(child);
    for (;;) {
      const news = await keeper.#next();
      if ('waitingFor' in news) onWait?.(news.waitingFor);
      else if ('failed' in news) throw new Error(news.failed);
      else break;
    }
    child.unref();
    (child.stdin as unknown as { unref?: () => void }).unref?.();
    (child.stdout as unknown as { unref?: () => void }).unref?.();
    return keeper;
  }

  /** Ends the node's processes, removes what it left and gives the place back. Throws with what could not be removed. Idempotent. */
  release(): Promise<void> {
    this.#released ??= this.#end();
    return this.#released;
  }

  async #end(): Promise<void> {
    const child = this.#child;
    child.ref();
    (child.stdout as unknown as { ref?: () => void }).ref?.();
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve();
    child.stdin?.end();
    const news = await this.#next();
    await exited;
    if ('failed' in news) throw new Error(news.failed);
  }

  async #next(): Promise<KeeperNews> {
    const next = await this.#news.next();
    if (next.done === true) return { failed: `the node's keeper (pid ${this.#child.pid ?? 0}) ended without a word` };
    return JSON.parse(next.value) as KeeperNews;
  }
}
