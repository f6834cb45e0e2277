import type { PartProcess } from '@kuik/testbed';

/** How often each process began: what lasts while a process dies and comes back can tell that it did. */
export class Lives {
  readonly #lives: Map<string, number>;
  readonly #away = new Set<string>();
  /** Who was killed, in order. */
  readonly ended: string[] = [];

  constructor(processes: readonly PartProcess[]) {
    this.#lives = new Map(processes.map(({ name }) => [name, 1]));
  }

  /** Undefined while it is dead, or not ready yet. */
  of(name: string): number | undefined {
    return this.#away.has(name) ? undefined : this.#lives.get(name);
  }

  /** Killed, and started again at once; what depends on it has to cope in between. */
  async bounce(victim: PartProcess): Promise<void> {
    this.#away.add(victim.name);
    this.#lives.set(victim.name, (this.#lives.get(victim.name) ?? 0) + 1);
    await victim.kill('SIGKILL');
    await victim.restart();
    this.#away.delete(victim.name);
    this.ended.push(victim.name);
  }
}
