import { manifestHeaders } from './answer.ts';
import type { FoundManifest } from './find-manifest.ts';
import { HeadEnds, headFields } from './wire-head.ts';

/** Answers of 200 as they go over the wire, in one piece: what node:http would have written. */
export class WholeAnswers {
  /** Heads without their last lines, by the bytes that they speak of. */
  readonly #heads = new WeakMap<Buffer, string>();
  readonly #ends = new HeadEnds();

  /** `found` has its bytes and is not stale; `body`: they, or nothing for HEAD; `wallMs`: epoch. */
  of(found: FoundManifest, requestId: string, body: Buffer | undefined, wallMs: number): Buffer {
    const head = `${this.#head(found)}X-Request-Id: ${requestId}\r\n${this.#ends.of(wallMs, true)}`;
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
    const head = headFields(200, 'OK', headers);
    this.#heads.set(found.bytes!, head);
    return head;
  }
}
