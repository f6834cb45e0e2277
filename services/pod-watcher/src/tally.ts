export type TallyLabels = Readonly<Record<string, string>>;

export interface TallyPart<L extends TallyLabels> {
  readonly labels: L;
  readonly weight: number;
}

/**
 * Sums by labels over things that change one at a time: what a thing adds is read anew only after it changed, so a scrape costs what
 * changed since the last one, however many things there are. Labels that were seen once stay, at zero.
 */
export class Tally<L extends TallyLabels> {
  readonly #read: (key: string) => readonly TallyPart<L>[];
  readonly #counted = new Map<string, readonly TallyPart<L>[]>();
  readonly #sums = new Map<string, { readonly labels: L; sum: number }>();
  readonly #changed = new Set<string>();

  /** `read` says what a thing adds now; nothing once it is gone. */
  constructor(read: (key: string) => readonly TallyPart<L>[]) {
    this.#read = read;
  }

  changed(key: string): void {
    this.#changed.add(key);
  }

  /** A full list replaced everything: these are all there is. */
  relisted(keys: Iterable<string>): void {
    for (const key of this.#counted.keys()) this.#changed.add(key);
    for (const key of keys) this.#changed.add(key);
  }

  sums(): Iterable<{ readonly labels: L; readonly sum: number }> {
    for (const key of this.#changed) {
      for (const part of this.#counted.get(key) ?? []) this.#add(part, -1);
      const parts = this.#read(key);
      for (const part of parts) this.#add(part, 1);
      if (parts.length === 0) this.#counted.delete(key);
      else this.#counted.set(key, parts);
    }
    this.#changed.clear();
    return this.#sums.values();
  }

  #add({ labels, weight }: TallyPart<L>, sign: 1 | -1): void {
    const key = Object.values(labels).join('\n');
    const known = this.#sums.get(key) ?? { labels, sum: 0 };
    known.sum += sign * weight;
    this.#sums.set(key, known);
  }
}
