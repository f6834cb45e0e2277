import { KEEP_ALIVE_MS, manifestHeaders } from './answer.ts';
import type { FoundManifest } from './find-manifest.ts';

/** The end of every head: the connection stays. */
const KEPT = `Connection: keep-alive\r\nKeep-Alive: timeout=${KEEP_ALIVE_MS / 1000}\r\n\r\n`;

/** Answers of 200 as they go over the wire, in one piece: what node:http would have written. */
export class WholeAnswers {
  /** Heads without their last lines, by the bytes that they speak of. */
  readonly #heads = new WeakMap<Buffer, string>();
  #date = '';
  #dateUntilMs = 0;

  /** `found` has its bytes and is not stale; `body`: they, or nothing for HEAD; `wallMs`: epoch. */
  of(found: FoundManifest, requestId: string, body: Buffer | undefined, wallMs: number): Buffer {
    const head = `${this.#head(found)}X-Request-Id: ${requestId}\r\nDate: ${this.#today(wallMs)}\r\n${KEPT}`;
    if (body === undefined) return Buffer.from(head, 'latin1');
    const answer = Buffer.allocUnsafe(head.length + body.length);
    answer.write(head, 0, 'latin1');
    body.copy(answer, head.length);
    return answer;
  }

  #head(found: FoundManifest): string {
    const known = this.#heads.get(found.bytes!);
    if (known !== undefined) return known;
    const { 'X-Request-Id': _id, ...headers } = manifestHeaders(found, '');
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = `HTTP/1.1 200 OK\r\n${lines.join('')}`;
    this.#heads.set(found.bytes!, head);
    return head;
  }

  #today(wallMs: number): string {
    if (wallMs >= this.#dateUntilMs) {
      this.#date = new Date(wallMs).toUTCString();
      this.#dateUntilMs = wallMs - (wallMs % 1000) + 1000;
    }
    return this.#date;
  }
}
