/** Ids of this process's requests: short, and hardly another process's. */
export class RequestIds {
  readonly #prefix = Math.random().toString(36).slice(2, 8);
  #count = 0;

  next(): string {
    return `${this.#prefix}-${(this.#count += 1).toString(36)}`;
  }
}
