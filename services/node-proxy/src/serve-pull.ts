import type { IncomingMessage, ServerResponse } from 'node:http';
import { formatReference, subjectOfTag } from '@kuik/image';
import { RegistryError } from '@kuik/registry';
import {
  blobHead,
  isNotModified,
  manifestHeaders,
  notModifiedHeaders,
  referrersHeaders,
  tagsHeaders,
} from './answer.ts';
import { parseRange } from './byte-range.ts';
import type { CacheAccess } from './cache-access.ts';
import { ClientGone, ClientStream } from './client-stream.ts';
import { answerFailure, API_VERSION } from './error-answer.ts';
import { codeOfBroken, PullFailure, UpstreamFailure } from './failure.ts';
import type { FindManifest, FoundManifest } from './find-manifest.ts';
import { listReferrersOf, noticeUnkept } from './list-referrers.ts';
import { listTags, pageOf } from './list-tags.ts';
import { parsePull, type Pull, type Refusal } from './pull-path.ts';
import { readPlainHead } from './plain-head.ts';
import type { PullGuard } from './pull-guard.ts';
import { newRecord, type PullLog, type PullRecord } from './pull-record.ts';
import type { BlobRelay } from './relay-blob.ts';
import type { ServedTally } from './served-report.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import { WeightedLru } from './weighted-lru.ts';
import { WholeAnswers } from './whole-answers.ts';

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

type Asked<K extends Pull['kind']> = Extract<Pull, { kind: K }>;

/** A plain request for a manifest. */
interface PlainManifest {
  readonly method: 'GET' | 'HEAD';
  readonly pull: Asked<'manifest'>;
}

const MEANINGS_BYTES = 256 * 1024;

/** One request from its parsing to its log line. */
export class ServePull {
  readonly #options: ServePullOptions;
  /** What request targets mean, by method: a node asks for few of them, and for those often. */
  readonly #meanings = new WeightedLru<Pull | Refusal>(MEANINGS_BYTES);
  /** What whole request heads ask for. */
  readonly #plainHeads = new WeightedLru<PlainManifest | 'other'>(MEANINGS_BYTES);
  readonly #wholeAnswers = new WholeAnswers();
  readonly #idPrefix = Math.random().toString(36).slice(2, 8);
  #count = 0;

  constructor(options: ServePullOptions) {
    this.#options = options;
  }

  /** A manifest that is in memory, as the whole answer to a request of one piece; undefined: the ordinary way (see `QuickConnections`). */
  readonly atOnce = (head: Buffer): Buffer | undefined => {
    const { manifests, guard, log, now, wall } = this.#options;
    const asked = this.#plain(head);
    if (asked === undefined) return undefined;
    const { method, pull } = asked;
    if (guard?.passes(pull) === false) return undefined;
    const startedMs = now();
    const found = manifests.atOnce(pull);
    if (found?.bytes === undefined) return undefined;
    const record = newRecord(this.#id(), method, startedMs);
    this.#meant(pull, record);
    this.#found(pull, found, record);
    const body = method === 'HEAD' ? undefined : found.bytes;
    record.status = 200;
    record.bytes = body?.length ?? 0;
    record.firstByteMs = now();
    log.ended(record, true);
    return this.#wholeAnswers.of(found, record.id, body, wall());
  };

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const { now, log } = this.#options;
    const record = newRecord(this.#id(), request.method ?? '', now());
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
    this.#meant(asked, record);
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

  #id(): string {
    return `${this.#idPrefix}-${(this.#count += 1).toString(36)}`;
  }

  #meant(pull: Pull, record: PullRecord): void {
    record.kind = pull.kind;
    if ('name' in pull) record.name = pull.name;
    const host = 'repositories' in pull ? pull.repositories[0]?.host : undefined;
    if (host !== undefined) record.host = host;
  }

  #plain(head: Buffer): PlainManifest | undefined {
    const text = head.toString('latin1');
    const known = this.#plainHeads.get(text);
    if (known !== undefined) return known === 'other' ? undefined : known;
    const plain = readPlainHead(text);
    const pull = plain && parsePull(plain.method, plain.target);
    const asked = pull !== undefined && 'kind' in pull && pull.kind === 'manifest' ? { ...plain!, pull } : undefined;
    this.#plainHeads.set(text, asked ?? 'other', text.length);
    return asked;
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
    this.#found(pull, found, record);
    const headers = manifestHeaders(found, record.id);
    if (isNotModified(request.headers['if-none-match'], found.digest)) {
      return this.#small(response, record, 304, notModifiedHeaders(headers));
    }
    this.#small(response, record, 200, headers, headOnly ? undefined : found.bytes);
  }

  /** Notes what was found, and counts it as served. */
  #found(pull: Asked<'manifest'>, found: FoundManifest, record: PullRecord): void {
    const { served, wall } = this.#options;
    record.reference = referenceOf(pull);
    record.origin = found.fromMemory ? 'memory' : found.from;
    record.reason = found.step.reason;
    record.stale = found.step.stale === true;
    record.digest = found.digest;
    record.image = formatReference({ ...found.step.repository, ...pull.reference });
    if (found.admission !== undefined) record.admission = found.admission;
    // A HEAD of a digest only looks; a tag is the beginning of a pull however it is asked for.
    if (record.method !== 'HEAD' || 'tag' in pull.reference) served.add(record.image, record.stale, wall());
    if (record.method !== 'HEAD' && found.from === 'upstream' && 'tag' in pull.reference) {
      const subject = subjectOfTag(pull.reference.tag);
      if (subject !== undefined) noticeUnkept(this.#options.cache, found.step.repository, subject);
    }
  }

  async #blob(
    pull: Asked<'blob'>,
    request: IncomingMessage,
    response: ServerResponse,
    record: PullRecord,
  ): Promise<void> {
    const { blobs, clientIdleMs, now } = this.#options;
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
    const client = new ClientStream(response, clientIdleMs, (bytes) => (record.bytes += bytes));
    const range = request.headers['if-range'] === undefined ? parseRange(request.headers.range) : undefined;
    await blobs.deliver({ repositories, digest, range, requestId: record.id }, client, (head) => {
      const { status, headers } = blobHead(head, digest, record.id);
      record.status = status;
      record.origin = head.step.from;
      record.reason = head.step.reason;
      record.firstByteMs = now();
      client.start(status, headers);
    });
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

  /** Answers with the failure, or breaks off an answer that was begun: it cannot be taken back. */
  #failed(error: unknown, response: ServerResponse, record: PullRecord): void {
    const gone = error instanceof ClientGone || (error instanceof RegistryError && error.code === 'aborted');
    const failure =
      error instanceof PullFailure ? error : new PullFailure('internal', 'the proxy failed', { cause: error });
    if (gone) {
      record.code = 'client-gone';
    } else if (error instanceof PullFailure || !response.headersSent) {
      record.code = failure.code.code;
      record.error = error instanceof PullFailure ? failure.message : describe(error);
    } else {
      record.code = error instanceof RegistryError ? codeOfBroken(error) : failure.code.code;
      record.error = describe(error);
    }
    if (response.headersSent || gone) {
      response.destroy();
      return;
    }
    record.status = failure.code.http;
    if (failure.cause instanceof UpstreamFailure) record.reason = 'UpstreamFailed';
    answerFailure(response, failure, {
      requestId: record.id,
      ...(record.name === undefined ? {} : { repository: record.name }),
      ...(record.reference === undefined ? {} : { reference: record.reference }),
      ...(record.digest === undefined ? {} : { digest: record.digest }),
    });
  }
}

function referenceOf({ reference }: Asked<'manifest'>): string {
  return 'tag' in reference ? reference.tag : reference.digest;
}

function refusal({ refused, what }: { refused: PullFailure['failure']; what: string }): PullFailure {
  return new PullFailure(refused, `${what} is refused here`);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
