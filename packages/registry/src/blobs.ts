import { isDigest } from '@kuik/image';
import { RegistryError } from './errors.ts';
import { NO_HEAD } from './manifests.ts';
import { openBlobOver } from './open-blob.ts';
import type { BlobRequest, ByteSink, OpenBlob } from './port.ts';
import type { RawResponse } from './raw-client.ts';
import type { RepositoryRequests } from './repository-requests.ts';

const PULL = { actions: ['pull'] } as const;

/** Size of a blob, or undefined when the repository does not have it. A registry that knows no HEAD is asked for the first byte. */
export async function headBlob(
  requests: RepositoryRequests,
  digest: string,
  signal?: AbortSignal,
): Promise<{ size: number } | undefined> {
  const call = { operation: 'blob-head', need: PULL, signal } as const;
  const answer = await requests.send(call, { method: 'HEAD', url: blobUrl(requests, digest), headers: {} });
  if (answer.status === 404) {
    answer.discard();
    return undefined;
  }
  if (NO_HEAD.includes(answer.status)) {
    answer.discard();
    return sizeByRange(requests, digest, signal);
  }
  if (answer.status !== 200) throw await requests.failure(`cannot read ${nameOf(requests, digest)}`, answer);
  answer.discard();
  const size = Number(answer.header('content-length') ?? NaN);
  if (Number.isSafeInteger(size)) return { size };
  throw new RegistryError('invalid-response', `${nameOf(requests, digest)}: the registry states no size`);
}

async function sizeByRange(
  requests: RepositoryRequests,
  digest: string,
  signal?: AbortSignal,
): Promise<{ size: number } | undefined> {
  const call = { operation: 'blob-head', need: PULL, signal } as const;
  const answer = await requests.read(call, { url: blobUrl(requests, digest), headers: { range: 'bytes=0-0' } });
  const { status, contentLength } = answer;
  if (![200, 206, 404, 416].includes(status))
    throw await requests.failure(`cannot read ${nameOf(requests, digest)}`, answer);
  // A byte, or a few words: read, they leave the connection to the next request. A whole blob is given up.
  if (status === 200) answer.discard();
  else await answer.readSmall();
  if (status === 404) return undefined;
  const range = status === 416 ? /^bytes \*\/(\d{1,15})$/ : /^bytes 0-0\/(\d{1,15})$/;
  const told = range.exec(answer.header('content-range') ?? '')?.[1];
  // Who says no more than that there is no first byte has none (RFC 9110 §15.5.17).
  const total = told === undefined && status !== 416 ? undefined : Number(told ?? 0);
  const size = status === 200 ? contentLength : total;
  if (size !== undefined) return { size };
  throw new RegistryError('invalid-response', `${nameOf(requests, digest)}: the registry states no size`);
}

/** Opens a blob, whole or from `offset` (to `end`, inclusive). A server that ignores Range is read past what was not asked for. */
export async function openBlob(requests: RepositoryRequests, digest: string, request: BlobRequest): Promise<OpenBlob> {
  const offset = request.offset ?? 0;
  const ranged = offset > 0 || request.end !== undefined;
  const headers: Record<string, string> = ranged ? { range: `bytes=${offset}-${request.end ?? ''}` } : {};
  const call = { operation: 'blob-get', need: PULL, signal: request.signal, onSentOn: request.onSentOn } as const;
  const answer = await requests.read(call, { url: blobUrl(requests, digest), headers });
  const doing = `cannot read ${nameOf(requests, digest)}`;
  if (answer.status !== 200 && answer.status !== 206) throw await requests.failure(doing, answer);
  try {
    if (answer.header('content-encoding') !== undefined && answer.header('content-encoding') !== 'identity') {
      throw new RegistryError('invalid-response', `${doing}: the registry encoded the body`);
    }
    if (answer.contentLength === undefined) return await openUnsized(requests, digest, request, answer, doing);
    const span = spanOf(answer, answer.contentLength, offset, request.end, doing);
    return openBlobOver({
      totalSize: span.total,
      offset,
      length: span.length,
      contentType: contentTypeOf(answer),
      verify: request.verify === false ? undefined : digest,
      pump: (sink, signal) =>
        answer.pump(
          span.skip === 0 && span.rest === 0 ? sink : cutting(sink, span.skip, span.length),
          signal ?? request.signal,
        ),
      cancel: () => answer.discard(),
    });
  } catch (error) {
    answer.discard();
    throw error;
  }
}

interface Span {
  total: number;
  length: number;
  /** Bytes to drop before and after, when the server sent more than was asked for. */
  skip: number;
  rest: number;
}

/** What the answer's body is, of what was asked for. Throws when Content-Range and Content-Length do not agree with the request. */
function spanOf(
  answer: RawResponse,
  contentLength: number,
  offset: number,
  end: number | undefined,
  doing: string,
): Span {
  if (answer.status === 200) {
    if (offset > contentLength || (offset === contentLength && offset > 0)) {
      throw new RegistryError(
        'range-not-satisfiable',
        `${doing}: it has ${contentLength} bytes, asked from ${offset}`,
        { status: 416 },
      );
    }
    const length = Math.min(end ?? contentLength - 1, contentLength - 1) - offset + 1;
    return { total: contentLength, length, skip: offset, rest: contentLength - offset - length };
  }
  const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(answer.header('content-range') ?? '');
  const [first, last, total] = (range ?? []).slice(1).map(Number);
  const wantedLast = Math.min(end ?? Infinity, (total ?? 0) - 1);
  if (range === null || first !== offset || last !== wantedLast || last - first + 1 !== contentLength) {
    throw new RegistryError(
      'invalid-response',
      `${doing}: the registry answered another range than ${offset}-${end ?? ''}`,
    );
  }
  return { total: total!, length: contentLength, skip: 0, rest: 0 };
}

/** A sink that gets only `length` bytes after the first `skip` ones. */
function cutting(sink: ByteSink, skip: number, length: number): ByteSink {
  let at = 0;
  return (chunk) => {
    const from = Math.max(0, skip - at);
    const to = Math.min(chunk.length, skip + length - at);
    at += chunk.length;
    return from < to ? sink(chunk.subarray(from, to)) : undefined;
  };
}

/** A body without stated length (chunked): asked for again by the general client, its size by HEAD. */
async function openUnsized(
  requests: RepositoryRequests,
  digest: string,
  request: BlobRequest,
  first: RawResponse,
  doing: string,
): Promise<OpenBlob> {
  first.discard();
  const offset = request.offset ?? 0;
  const size = (await headBlob(requests, digest, request.signal))?.size;
  if (size === undefined) throw new RegistryError('invalid-response', `${doing}: the registry states no size`);
  const call = { operation: 'blob-get', need: PULL, signal: request.signal } as const;
  const answer = await requests.send(call, {
    method: 'GET',
    url: blobUrl(requests, digest),
    headers: { 'accept-encoding': 'identity' },
  });
  if (answer.status !== 200) throw await requests.failure(doing, answer);
  const length = Math.min(request.end ?? size - 1, size - 1) - offset + 1;
  return openBlobOver({
    totalSize: size,
    offset,
    length,
    contentType: contentTypeOf(answer),
    verify: request.verify === false ? undefined : digest,
    async pump(sink, signal) {
      const cut = cutting(sink, offset, length);
      let read = 0;
      let inSink = false;
      try {
        for await (const chunk of answer.chunks()) {
          if (signal?.aborted === true) throw new RegistryError('aborted', `${doing}: aborted by the caller`);
          inSink = true;
          await cut(chunk);
          inSink = false;
          read += chunk.length;
        }
      } catch (error) {
        if (inSink || error instanceof RegistryError) throw error;
        throw new RegistryError('truncated', `${doing}: stopped after ${read} of ${size} bytes`, {
          cause: error,
          bytesDelivered: Math.max(0, read - offset),
        });
      } finally {
        answer.discard();
      }
      if (read !== size) {
        throw new RegistryError('truncated', `${doing}: ${read} bytes instead of ${size}`, {
          bytesDelivered: Math.max(0, read - offset),
        });
      }
    },
    cancel: () => answer.discard(),
  });
}

function contentTypeOf(answer: { header(name: string): string | undefined }): string {
  return answer.header('content-type') ?? 'application/octet-stream';
}

function blobUrl(requests: RepositoryRequests, digest: string): URL {
  if (!isDigest(digest)) throw new RegistryError('rejected', `"${digest.slice(0, 160)}" is not a digest`);
  return requests.blobUrl(digest);
}

function nameOf({ context }: RepositoryRequests, digest: string): string {
  return `blob ${digest} of ${context.host}/${context.repository}`;
}
