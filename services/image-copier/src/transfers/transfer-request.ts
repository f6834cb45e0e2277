import { TRANSFER_ACCESS_HEADER, TRANSFER_PIECES_HEADER } from '@kuik/contracts';
import { fromCacheRepository, isDigest } from '@kuik/image';
import type { Access } from './proof.ts';

/** What a reader asks for, read off its request. */
export interface TransferRequest {
  /** Name in the cache, which its token is for. */
  readonly repository: string;
  readonly host: string;
  readonly path: string;
  readonly digest: string;
  /** `left`: what lies on this process's disk, for another copier. */
  readonly access: Access | 'left';
  readonly offset: number;
  readonly end: number | undefined;
  readonly ranged: boolean;
  /** Its client fetches pieces. */
  readonly pieces: boolean;
}

/**
 * Reads `GET /v2/<name in the cache>/blobs/<digest>`, one range `bytes=a-` or `bytes=a-b`, and by what right and for whom (headers, or the query that a redirect
 * carries them in). Undefined for anything else.
 */
export function parseTransferRequest(
  method: string | undefined,
  target: string | undefined,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): TransferRequest | undefined {
  if (method !== 'GET' || target === undefined || !URL.canParse(target, 'http://copier')) return undefined;
  const { pathname, searchParams } = new URL(target, 'http://copier');
  const match = /^\/v2\/([a-z0-9._/-]{1,255})\/blobs\/([^/]{1,160})$/.exec(pathname);
  const [, repository, digest] = match ?? [];
  const named = repository === undefined ? undefined : fromCacheRepository(repository);
  if (repository === undefined || digest === undefined || named === undefined || !isDigest(digest)) return undefined;
  const access = searchParams.get('access') ?? headers[TRANSFER_ACCESS_HEADER];
  const range = rangeOf(headers.range);
  if ((access !== 'anonymous' && access !== 'credential' && access !== 'left') || range === undefined) return undefined;
  const pieces = (searchParams.get('pieces') ?? headers[TRANSFER_PIECES_HEADER]) === '1';
  return { repository, ...named, digest, access, pieces, ...range };
}

function rangeOf(
  header: string | string[] | undefined,
): Pick<TransferRequest, 'offset' | 'end' | 'ranged'> | undefined {
  if (header === undefined) return { offset: 0, end: undefined, ranged: false };
  const match = typeof header === 'string' ? /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header) : null;
  if (match === null) return undefined;
  const [offset, end] = [Number(match[1]), match[2] === '' ? undefined : Number(match[2])];
  return end !== undefined && end < offset ? undefined : { offset, end, ranged: true };
}

/** Where another copier answers the same request. */
export function redirectTo(at: string, { repository, digest, access, pieces }: TransferRequest): string {
  return `${at}/v2/${repository}/blobs/${digest}?access=${access}${pieces ? '&pieces=1' : ''}`;
}
