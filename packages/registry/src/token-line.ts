import { RegistryError } from './errors.ts';

/** Questions to one token server at once, and those of them for which no pull waits. */
const AT_ONCE = 16;
const BACKGROUND_AT_ONCE = 4;
/** A question that waited longer than this for its turn is not asked, ms: nobody waits for an answer that comes so late. */
const TURN_MS = 10_000;

/** How much a question presses. */
export interface Haste {
  readonly signal?: AbortSignal | undefined;
  /** No pull waits for the answer before this is aborted: a copy, a check. Default: one does. */
  readonly background?: AbortSignal | undefined;
}

/** Whether no pull waits for the answer (yet). */
export function isBackground({ background }: Haste): boolean {
  return background?.aborted === false;
}

interface Waiting {
  readonly haste: Haste;
  readonly begin: (asBackground: boolean) => void;
}

/** Those who ask one token server, and those who wait for their turn: pulls go before what nobody waits for. */
export class TokenLine {
  readonly #turnMs: number;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #background = 0;

  constructor(turnMs = TURN_MS) {
    this.#turnMs = turnMs;
  }

  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  /** Resolves when it is the question's turn, with what ends that. Throws RegistryError: `aborted`, and `timeout` when it does not come in time. */
  async turn(what: string, haste: Haste): Promise<() => void> {
    let asBackground = isBackground(haste);
    if (this.#hasRoom(asBackground)) this.#begin(asBackground);
    else asBackground = await this.#inTurn(what, haste);
    return () => {
      this.#running -= 1;
      if (asBackground) this.#background -= 1;
      this.#beginNext();
    };
  }

  #hasRoom(asBackground: boolean): boolean {
    return this.#running < AT_ONCE && (!asBackground || this.#background < BACKGROUND_AT_ONCE);
  }

  #begin(asBackground: boolean): void {
    this.#running += 1;
    if (asBackground) this.#background += 1;
  }

  #beginNext(): void {
    for (const asBackground of [false, true]) {
      const at = this.#waiting.findIndex(({ haste }) => isBackground(haste) === asBackground);
      if (at === -1 || !this.#hasRoom(asBackground)) continue;
      const [next] = this.#waiting.splice(at, 1);
      this.#begin(asBackground);
      next!.begin(asBackground);
      return;
    }
  }

  #inTurn(what: string, haste: Haste): Promise<boolean> {
    const { signal, background } = haste;
    return new Promise((resolve, reject) => {
      const leave = (error: RegistryError): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        settled();
        reject(error);
      };
      const onAbort = (): void => leave(new RegistryError('aborted', `${what}: aborted by the caller`));
      const onLate = (): void => leave(new RegistryError('timeout', `${what}: no turn within ${this.#turnMs} ms`));
      const timer = setTimeout(onLate, this.#turnMs);
      // A pull has come for it: that may begin at once where what no pull waits for may not, and has its own time to wait.
      const onPull = (): void => {
        timer.refresh();
        this.#beginNext();
      };
      const settled = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        background?.removeEventListener('abort', onPull);
      };
      const begin = (asBackground: boolean): void => {
        settled();
        resolve(asBackground);
      };
      const waiting = { haste, begin };
      this.#waiting.push(waiting);
      background?.addEventListener('abort', onPull, { once: true });
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
