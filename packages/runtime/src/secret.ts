import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';

const HIDDEN = '[secret]';

/**
 * A secret that lives in a file. Printing, JSON and inspection show `[secret]`; only `reveal()` gives the text.
 * The file is read again each time, so a rotated secret is seen; while it cannot be read the last text stays.
 */
export class Secret {
  readonly path: string;
  #last: string;

  /** Reads the file; throws its error when it cannot be read. One trailing line end is dropped. */
  constructor(path: string) {
    this.path = path;
    this.#last = read(path);
  }

  reveal(): string {
    try {
      this.#last = read(this.path);
    } catch {
      // Kubernetes swaps mounted files: for an instant there may be none.
    }
    return this.#last;
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}

function read(path: string): string {
  return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
}
