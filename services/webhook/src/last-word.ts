/**
 * Who has the last word about an object that every replica keeps as its own rules want it. They do not change their minds at one moment:
 * `helm upgrade` writes first, the file of rules reaches each node within two minutes, and a rollout runs old settings beside new ones. So who
 * wants something new writes at once, and who wants what was in place before finds that others are ahead, and writes only when it stays
 * so for `patienceMs`. Else they would undo each other's writing, and Helm could not write any more what one of us has written last.
 */
export class LastWord {
  readonly #patienceMs: number;
  #agreed: string | undefined;
  #differsSince: number | undefined;

  constructor(patienceMs: number) {
    this.#patienceMs = patienceMs;
  }

  /** Whether what differs from `wanted` may be written over; `now` is monotonic, ms. */
  mayWrite(wanted: string, now: number): boolean {
    if (wanted !== this.#agreed) {
      this.#agreed = undefined;
      return true;
    }
    this.#differsSince ??= now;
    return now - this.#differsSince >= this.#patienceMs;
  }

  /** All is in place as it is wanted. */
  agree(wanted: string): void {
    this.#agreed = wanted;
    this.#differsSince = undefined;
  }
}
