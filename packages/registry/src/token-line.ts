import { RegistryError } from './errors.ts';

/** Questions to one token server at once, and those of them for which no pull waits. */
const AT_ONCE = 16;
const BACKGROUND_AT_ONCE = 4;
/** A question that waited longer than this for its turn is not asked, ms: nobody waits for an answer that comes so late. */
const TURN_MS = 10_000;

/** How much a question presses. */
export interface Haste {
  readonly signal?: AbortSignal | undefined;
  /** Whether no pull waits for the answer (yet): a copy, a check. Default: one does. */
  readonly background?: (() => boolean) | undefined;
}

interface Waiting {
  readonly background: () => boolean;
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
  async turn(what: string, { signal, background = () => false }: Haste): Promise<() => void> {
    let asBackground = background();
    if (this.#hasRoom(asBackground)) this.#begin(asBackground);
    else asBackground = await this.#inTurn(what, background, signal);
    return () => {
      this.#running -= 1;
      if (asBackground) this.#background -= 1;
      // More than one when a pull has come for what waited as background.
      while (this.#beginNext());
    };
  }

  #hasRoom(asBackground: boolean): boolean {
    return this.#running < AT_ONCE && (!asBackground || this.#background < BACKGROUND_AT_ONCE);
  }

  #begin(asBackground: boolean): void {
    this.#running += 1;
    if (asBackground) this.#background += 1;
  }

  /** False when nobody waits who may. */
  #beginNext(): boolean {
    for (const asBackground of [false, true]) {
      const at = this.#waiting.findIndex(({ background }) => background() === asBackground);
      if (at === -1 || !this.#hasRoom(asBackground)) continue;
      const [next] = this.#waiting.splice(at, 1);
      this.#begin(asBackground);
      next!.begin(asBackground);
      return true;
    }
    return false;
  }

  #inTurn(what: string, background: () => boolean, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const leave = (error: RegistryError): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        settled();
        reject(error);
      };
      const onAbort = (): void => leave(new RegistryError('aborted', `${what}: aborted by the caller`));
      const onLate = (): void => leave(new RegistryError('timeout', `${what}: no turn within ${this.#turnMs} ms`));
      const timer = setTimeout(onLate, this.#turnMs);
      const settled = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const begin = (asBackground: boolean): void => {
        settled();
        resolve(asBackground);
      };
      const waiting = { background, begin };
      this.#waiting.push(waiting);
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}
