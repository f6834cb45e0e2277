import { answerBlob } from './answer-blob.ts';
import { errorAnswer } from './error-answer.ts';
import { failedPull } from './failed-pull.ts';
import { parsePull, type Asked } from './pull-path.ts';
import { meant, newRecord, type PullRecord } from './pull-record.ts';
import { readPlainHead, type PlainHead } from './plain-head.ts';
import type { RequestIds } from './request-ids.ts';
import type { ServePullOptions } from './serve-pull.ts';
import { servedManifest } from './served-manifest.ts';
import type { SocketAnswer } from './socket-answer.ts';
import { WeightedLru } from './weighted-lru.ts';
import { WholeAnswers } from './whole-answers.ts';

/** What a plain head asks, of what is answered here. */
interface QuickPull {
  readonly plain: PlainHead;
  readonly pull: Asked<'manifest'> | Asked<'blob'>;
}

const HEADS_BYTES = 256 * 1024;

/**
 * Pulls that are answered before any HTTP parser: those with a plain head, of a manifest that is in memory or a blob's body. Who may be
 * served what, and where it comes from, is decided by the same parts as for all others.
 */
export class QuickPulls {
  readonly #options: ServePullOptions;
  readonly #ids: RequestIds;
  /** What whole request heads ask for. */
  readonly #heads = new WeightedLru<QuickPull | 'other'>(HEADS_BYTES);
  readonly #wholeAnswers = new WholeAnswers();

  constructor(options: ServePullOptions, ids: RequestIds) {
    this.#options = options;
    this.#ids = ids;
  }

  /** See `QuickAnswer`. */
  readonly answer = (head: Buffer, answer: () => SocketAnswer): Buffer | Promise<void> | undefined => {
    const asked = this.#asked(head);
    if (asked === undefined) return undefined;
    const { plain, pull } = asked;
    if (pull.kind === 'manifest') return this.#manifest(plain, pull);
    return this.#blob(plain, pull, answer());
  };

  #asked(head: Buffer): QuickPull | undefined {
    const text = head.toString('latin1');
    const known = this.#heads.get(text);
    if (known !== undefined) return known === 'other' ? undefined : known;
    const asked = quickPull(text);
    this.#heads.set(text, asked ?? 'other', text.length);
    return asked;
  }

  #manifest({ method }: PlainHead, pull: Asked<'manifest'>): Buffer | undefined {
    const { manifests, guard, log, now, wall } = this.#options;
    if (guard?.passes(pull) === false) return undefined;
    const startedMs = now();
    const found = manifests.atOnce(pull);
    if (found?.bytes === undefined) return undefined;
    const record = newRecord(this.#ids.next(), method, startedMs);
    meant(record, pull);
    servedManifest(this.#options, pull, found, record);
    const body = method === 'HEAD' ? undefined : found.bytes;
    record.status = 200;
    record.bytes = body?.length ?? 0;
    record.firstByteMs = now();
    log.ended(record, true);
    return this.#wholeAnswers.of(found, record.id, body, wall());
  }

  async #blob(plain: PlainHead, pull: Asked<'blob'>, answer: SocketAnswer): Promise<void> {
    const { guard, log, now } = this.#options;
    const record = newRecord(this.#ids.next(), plain.method, now());
    answer.last = plain.last === true;
    meant(record, pull);
    let complete = true;
    try {
      const checked = guard?.check(pull, undefined, record.id);
      const repositories = (checked instanceof Promise ? await checked : checked) ?? pull.repositories;
      await answerBlob(this.#options, { repositories, digest: pull.digest }, plain.range, record, answer);
    } catch (error) {
      complete = fail(error, record, answer);
    }
    log.ended(record, complete);
  }
}

/** Whether it could be answered. */
function fail(error: unknown, record: PullRecord, answer: SocketAnswer): boolean {
  const failed = failedPull(error, record, answer.begun);
  if (failed === undefined) {
    answer.break();
    return false;
  }
  const { status, reason, headers, body } = errorAnswer(failed.failure, failed.context);
  answer.whole(status, reason, headers, body);
  return true;
}

function quickPull(text: string): QuickPull | undefined {
  const plain = readPlainHead(text);
  const pull = plain && parsePull(plain.method, plain.target);
  if (pull === undefined || !('kind' in pull)) return undefined;
  // What is written in one piece says that the connection stays.
  if (pull.kind === 'manifest') return plain!.last === true ? undefined : { plain: plain!, pull };
  return pull.kind === 'blob' && plain!.method === 'GET' ? { plain: plain!, pull } : undefined;
}
