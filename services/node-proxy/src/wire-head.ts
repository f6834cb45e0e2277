import { KEEP_ALIVE_MS } from './answer.ts';

const KEPT = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;
const CLOSED = 'Connection: close\r\n\r\n';

/** The status line and the fields of a head, without its end. Names and values are the caller's: they hold no line breaks. */
export function headFields(status: number, reason: string, headers: Readonly<Record<string, string>>): string {
  let text = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (const name in headers) text += `${name}: ${headers[name]}\r\n`;
  return text;
}

/** How heads end: the date, and what becomes of the connection. What node:http would have written. */
export class HeadEnds {
  #date = '';
  #dateUntilMs = 0;

  /** `wallMs`: epoch; `kept`: the connection stays. */
  of(wallMs: number, kept: boolean): string {
    if (wallMs >= this.#dateUntilMs) {
      this.#date = `Date: ${new Date(wallMs).toUTCString()}\r\n`;
      this.#dateUntilMs = wallMs - (wallMs % 1000) + 1000;
    }
    return this.#date + (kept ? KEPT : CLOSED);
  }
}
