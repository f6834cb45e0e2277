/** How long a line may wait for others: a process that is killed (SIGKILL) loses no more than that. */
const KEPT_BACK_MS = 2;
/** More than this is not kept back. */
const BATCH_MAX = 64 * 1024;

let standard: ((line: string) => void) | undefined;

/** Writes lines to standard output, one write for all of two milliseconds; what is left when the process ends is written then. */
export function standardOutput(): (line: string) => void {
  if (standard === undefined) {
    const batch = new LineBatch((text) => void process.stdout.write(text));
    process.once('exit', () => batch.flush());
    standard = (line) => batch.add(line);
  }
  return standard;
}

/** Gathers lines and hands them on together: a write to a pipe or a file costs as much for ten lines as for one. */
export class LineBatch {
  readonly #write: (text: string) => void;
  #text = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  add(line: string): void {
    if (this.#text === '') setTimeout(() => this.flush(), KEPT_BACK_MS);
    this.#text += `${line}\n`;
    if (this.#text.length >= BATCH_MAX) this.flush();
  }

  flush(): void {
    if (this.#text === '') return;
    const text = this.#text;
    this.#text = '';
    this.#write(text);
  }
}
