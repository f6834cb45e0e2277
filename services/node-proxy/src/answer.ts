import { API_VERSION } from './error-answer.ts';
import type { FoundManifest } from './find-manifest.ts';
import type { BlobHead } from './relay-blob.ts';

/** How long an unused connection is kept: longer than a kubelet's pause between two requests of one pull. */
export const KEEP_ALIVE_MS = 75_000;

/** RFC 9111 §5.5 (obsoleted, still the only word for it): the answer may be outdated. */
const STALE = { Warning: '110 - "Response is Stale"' } as const;

/** Headers of a manifest. The type is what was stored, whatever the client's Accept says: a digest has one representation. */
export function manifestHeaders(found: FoundManifest, requestId: string): Record<string, string> {
  return {
    ...API_VERSION,
    'Content-Type': found.mediaType,
    'Content-Length': String(found.size),
    'Docker-Content-Digest': found.digest,
    ETag: etag(found.digest),
    'X-Request-Id': requestId,
    ...(found.step.stale === true ? STALE : {}),
  };
}

export interface BlobAnswer {
  readonly status: 200 | 206;
  readonly headers: Record<string, string>;
}

/** Status and headers of a blob, or of a part of it. */
export function blobHead(head: Omit<BlobHead, 'step'>, digest: string, requestId: string): BlobAnswer {
  const headers: Record<string, string> = {
    ...API_VERSION,
    'Content-Type': 'application/octet-stream',
    'Content-Length': String(head.length),
    'Accept-Ranges': 'bytes',
    'Docker-Content-Digest': digest,
    ETag: etag(digest),
    'X-Request-Id': requestId,
  };
  if (!head.partial) return { status: 200, headers };
  const last = head.first + head.length - 1;
  return { status: 206, headers: { ...headers, 'Content-Range': `bytes ${head.first}-${last}/${head.totalSize}` } };
}

/** Headers of an answer 304 to what `headers` would describe (RFC 9110 §15.4.5): of the content itself only what tells it apart. */
export function notModifiedHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  const { 'Content-Length': _length, 'Content-Type': _type, 'Accept-Ranges': _ranges, ...kept } = headers;
  return kept;
}

/** Whether the client has it already (`If-None-Match`, RFC 9110 §13.1.2; weak comparison). */
export function isNotModified(header: string | undefined, digest: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((part) => {
    const tag = part.trim().replace(/^W\//, '');
    return tag === '*' || tag === etag(digest) || tag === digest;
  });
}

/** Headers of a page of tags; `next` becomes a Link as the distribution spec wants it. */
export function tagsHeaders(
  name: string,
  page: { next?: string; from: string },
  n: number | undefined,
  length: number,
  requestId: string,
) {
  const next = new URLSearchParams({
    ...(page.next === undefined ? {} : { last: page.next }),
    ...(n === undefined ? {} : { n: String(n) }),
  });
  return {
    ...API_VERSION,
    'Content-Type': 'application/json',
    'Content-Length': String(length),
    'X-Request-Id': requestId,
    ...(page.next === undefined ? {} : { Link: `</v2/${name}/tags/list?${next.toString()}>; rel="next"` }),
    ...(page.from === 'cache' ? STALE : {}),
  };
}

/** Headers of a list of referrers (OCI distribution spec, "Listing Referrers"). */
export function referrersHeaders({ stale, filtered }: { stale: boolean; filtered: boolean }, requestId: string) {
  return {
    ...API_VERSION,
    'Content-Type': 'application/vnd.oci.image.index.v1+json',
    'X-Request-Id': requestId,
    ...(filtered ? { 'OCI-Filters-Applied': 'artifactType' } : {}),
    ...(stale ? STALE : {}),
  };
}

function etag(digest: string): string {
  return `"${digest}"`;
}
