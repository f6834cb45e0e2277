import type { IncomingMessage, ServerResponse } from 'node:http';
import { answerBlob } from './answer-blob.ts';
import {
  blobHead,
  isNotModified,
  manifestHeaders,
  notModifiedHeaders,
  referrersHeaders,
  tagsHeaders,
} from './answer.ts';
import type { CacheAccess } from './cache-access.ts';
import { answerFailure, API_VERSION } from './error-answer.ts';
import { failedPull } from './failed-pull.ts';
import { PullFailure } from './failure.ts';
import type { FindManifest } from './find-manifest.ts';
import { listReferrersOf } from './list-referrers.ts';
import { listTags, pageOf } from './list-tags.ts';
import { parsePull, type Asked, type Pull, type Refusal } from './pull-path.ts';
import type { PullGuard } from './pull-guard.ts';
import type { PullLog } from './pull-log.ts';
import { meant, newRecord, type PullRecord } from './pull-record.ts';
import type { BlobRelay } from './relay-blob.ts';
import type { RequestIds } from './request-ids.ts';
import { ResponseStream } from './response-stream.ts';
import { referenceOf, servedManifest } from './served-manifest.ts';
import type { ServedTally } from './served-report.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import { WeightedLru } from './weighted-lru.ts';

export interface ServePullOptions {
  readonly manifests: FindManifest;
  readonly blobs: BlobRelay;
  readonly cache: CacheAccess;
  readonly upstream: UpstreamAccess;
  /** Absent: everybody is served. */
  readonly guard: Pick<PullGuard, 'check' | 'passes'> | undefined;
  readonly served: ServedTally;
  readonly log: PullLog;
  /** How long upstream may think about what refers to an image. */
  readonly patienceMs: number;
  /** How long a client may take nothing. */
  readonly clientIdleMs: number;
  /** Monotonic ms, and epoch ms. */
  readonly now: () => number;
  readonly wall: () => number;
}

const MEANINGS_BYTES = 256 * 1024;

/** One request from its parsing to its log line. */
export class ServePull {
  readonly #options: ServePullOptions;
  /** What request targets mean, by method: a node asks for few of them, and for those often. */
  readonly #meanings = new WeightedLru<Pull | Refusal>(MEANINGS_BYTES);
  readonly #ids: RequestIds;

  constructor(options: ServePullOptions, ids: RequestIds) {
    this.#options = options;
    this.#ids = ids;
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { now, log } = this.#options;
    const record = newRecord(this.#ids.next(), request.method ?? '', now());
    // Told of when both the work and the connection's part are over: whichever ends last knows everything.
    let pending = 2;
    const over = (): void => {
      if ((pending -= 1) === 0) log.ended(record, response.writableFinished);
    };
    response.once('close', over);
    this.#serve(request, response, record)
      .catch((error: unknown) => this.#failed(error, response, record))
      .finally(over);
  };

  async #serve(request: IncomingMessage, response: ServerResponse, record: PullRecord): Promise<void> {
    const asked = this.#meaning(record.method, request.url ?? '');
    if ('refused' in asked) throw refusal(asked);
    meant(record, asked);
    const checked = this.#options.guard?.check(asked, request.headers.authorization, record.id);
    const repositories = checked instanceof Promise ? await checked : checked;
    const pull = repositories !== undefined && 'repositories' in asked ? { ...asked, repositories } : asked;
    switch (pull.kind) {
      case 'base':
        return this.#base(response, record);
      case 'manifest':
        return this.#manifest(pull, request, response, record);
      case 'blob':
        return this.#blob(pull, request, response, record);
      case 'tags':
        return this.#tags(pull, response, record);
      case 'referrers':
        return this.#referrers(pull, response, record);
    }
  }

  #meaning(method: string, target: string): Pull | Refusal {
    const key = `${method} ${target}`;
    const known = this.#meanings.get(key);
    if (known !== undefined) return known;
    const pull = parsePull(method, target);
    this.#meanings.set(key, pull, key.length);
    return pull;
  }

  #base(response: ServerResponse, record: PullRecord): void {
    record.reason = 'Base';
    this.#small(response, record, 200, { ...API_VERSION, 'Content-Type': 'application/json' }, Buffer.from('{}'));
  }

  async #manifest(
    pull: Asked<'manifest'>,
    request: IncomingMessage,
    response: ServerResponse,
    record: PullRecord,
  ): Promise<void> {
    const { manifests } = this.#options;
    const headOnly = record.method === 'HEAD';
    record.reference = referenceOf(pull);
    const found = await manifests.find(pull, { headOnly, requestId: record.id });
    servedManifest(this.#options, pull, found, record);
    const headers = manifestHeaders(found, record.id);
    if (isNotModified(request.headers['if-none-match'], found.digest)) {
      return this.#small(response, record, 304, notModifiedHeaders(headers));
    }
    this.#small(response, record, 200, headers, headOnly ? undefined : found.bytes);
  }

  async #blob(
    pull: Asked<'blob'>,
    request: IncomingMessage,
    response: ServerResponse,
    record: PullRecord,
  ): Promise<void> {
    const { blobs, clientIdleMs } = this.#options;
    const { repositories, digest } = pull;
    record.digest = digest;
    const unchanged = isNotModified(request.headers['if-none-match'], digest);
    if (record.method === 'HEAD' || unchanged) {
      const { size, step } = await blobs.head({ repositories, digest, requestId: record.id });
      record.origin = step.from;
      record.reason = step.reason;
      const { headers } = blobHead({ totalSize: size, first: 0, length: size, partial: false }, digest, record.id);
      if (!unchanged) return this.#small(response, record, 200, headers);
      return this.#small(response, record, 304, notModifiedHeaders(headers));
    }
    const range = request.headers['if-range'] === undefined ? request.headers.range : undefined;
    await answerBlob(this.#options, pull, range, record, new ResponseStream(response, clientIdleMs));
  }

  async #tags(pull: Asked<'tags'>, response: ServerResponse, record: PullRecord): Promise<void> {
    const page = await listTags(this.#options, { ...pull, requestId: record.id });
    record.origin = page.from;
    record.reason = page.from === 'cache' ? 'UpstreamSilent' : 'NotKept';
    const body = Buffer.from(JSON.stringify({ name: pull.name, tags: page.tags }));
    this.#small(
      response,
      record,
      200,
      tagsHeaders(pull.name, page, pageOf(pull.query).n, body.length, record.id),
      body,
    );
  }

  async #referrers(pull: Asked<'referrers'>, response: ServerResponse, record: PullRecord): Promise<void> {
    record.digest = pull.digest;
    const found = await listReferrersOf(this.#options, { ...pull, requestId: record.id });
    record.origin = found.from;
    record.reason = found.from === 'cache' ? (found.stale ? 'UpstreamSilent' : 'Kept') : 'NotKept';
    record.stale = found.stale;
    this.#small(response, record, 200, referrersHeaders(found, record.id), found.body);
  }

  #small(
    response: ServerResponse,
    record: PullRecord,
    status: number,
    headers: Record<string, string>,
    body?: Buffer,
  ): void {
    record.status = status;
    record.firstByteMs = this.#options.now();
    record.bytes = record.method === 'HEAD' ? 0 : (body?.length ?? 0);
    if (body !== undefined) headers['Content-Length'] = String(body.length);
    response.writeHead(status, headers);
    response.end(record.method === 'HEAD' ? undefined : body);
  }

  /** Answers with the failure, or breaks off an answer that was begun. */
  #failed(error: unknown, response: ServerResponse, record: PullRecord): void {
    const failed = failedPull(error, record, response.headersSent);
    if (failed === undefined) response.destroy();
    else answerFailure(response, failed.failure, failed.context);
  }
}

function refusal({ refused, what }: { refused: PullFailure['failure']; what: string }): PullFailure {
  return new PullFailure(refused, `${what === '' ? 'an empty reference' : what} is refused here`);
}
