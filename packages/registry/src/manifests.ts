import { digestOf, isDigest, isTag, parseDigest } from '@kuik/image';
import { RegistryError } from './errors.ts';
import { parseRateLimit } from './response-limits.ts';
import type { HttpResponse } from './http-client.ts';
import type { Manifest, ManifestHead } from './port.ts';
import type { RepositoryRequests } from './repository-requests.ts';

/** Always all four, in one order: Distribution answers 404 to a type that is not listed, and rewrites a Docker list. */
export const MANIFEST_TYPES = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
] as const;

/** What every request for a manifest says that it takes. */
export const ACCEPT = { accept: MANIFEST_TYPES.join(', '), 'accept-encoding': 'identity' };
const PULL = { actions: ['pull'] } as const;
const PUSH = { actions: ['pull', 'push'] } as const;
const DELETE = { actions: ['pull', 'delete'] } as const;

/** What registries that know no HEAD answer it with: not allowed, or not implemented. */
export const NO_HEAD: readonly number[] = [405, 501];

/** HEAD; the registry that knows no HEAD, or names no digest, is asked for the bytes. */
export async function headManifest(
  requests: RepositoryRequests,
  reference: string,
  signal?: AbortSignal,
): Promise<ManifestHead> {
  const call = { operation: 'manifest-head', need: PULL, signal } as const;
  const answer = await requests.send(call, { method: 'HEAD', url: manifestUrl(requests, reference), headers: ACCEPT });
  const digest = answer.header('docker-content-digest') ?? (isDigest(reference) ? reference : undefined);
  const size = Number(answer.header('content-length') ?? NaN);
  const told = digest !== undefined && isDigest(digest) && Number.isSafeInteger(size);
  if (NO_HEAD.includes(answer.status) || (answer.status === 200 && !told)) {
    answer.discard();
    const { bytes: _bytes, ...head } = await openManifest(requests, reference, signal);
    return head;
  }
  if (answer.status !== 200) throw await requests.failure(`cannot read ${nameOf(requests, reference)}`, answer);
  answer.discard();
  if (isDigest(reference) && digest !== reference) throw mismatch(requests, reference, digest!);
  return { digest: digest!, mediaType: mediaTypeOf(answer), size, ...rateLimitOf(answer) };
}

/** GET of the exact bytes. The digest is computed from them, and compared with the one asked for and the one announced. */
export async function openManifest(
  requests: RepositoryRequests,
  reference: string,
  signal?: AbortSignal,
): Promise<Manifest> {
  const call = { operation: 'manifest-get', need: PULL, signal } as const;
  const answer = await requests.send(call, { method: 'GET', url: manifestUrl(requests, reference), headers: ACCEPT });
  if (answer.status !== 200) throw await requests.failure(`cannot read ${nameOf(requests, reference)}`, answer);
  const bytes = await answer.read(requests.context.manifestMaxBytes);
  const announced = answer.header('docker-content-digest');
  const wanted = isDigest(reference)
    ? reference
    : announced !== undefined && isDigest(announced)
      ? announced
      : undefined;
  const digest = digestOf(bytes, parseDigest(wanted ?? '')?.algorithm);
  if (wanted !== undefined && digest !== wanted) throw mismatch(requests, wanted, digest);
  return { digest, mediaType: mediaTypeOf(answer, bytes), size: bytes.length, bytes, ...rateLimitOf(answer) };
}

/** PUT of exact bytes under a tag or their digest; returns the digest that the registry confirmed. One that confirms none is asked once more what the tag names. */
export async function putManifest(
  requests: RepositoryRequests,
  reference: string,
  bytes: Buffer,
  mediaType: string,
  signal?: AbortSignal,
): Promise<string> {
  const call = { operation: 'manifest-put', need: PUSH, signal } as const;
  const doing = `cannot write ${nameOf(requests, reference)}`;
  const url = manifestUrl(requests, reference);
  const answer = await requests.send(call, { method: 'PUT', url, headers: { 'content-type': mediaType }, body: bytes });
  if (answer.status !== 201) throw await requests.failure(doing, answer);
  answer.discard();
  const confirmed = answer.header('docker-content-digest');
  const algorithm = parseDigest(isDigest(reference) ? reference : (confirmed ?? ''))?.algorithm;
  const own = digestOf(bytes, algorithm);
  const named = confirmed ?? (isDigest(reference) ? own : (await headManifest(requests, reference, signal)).digest);
  if (named !== own) throw mismatch(requests, own, named);
  return own;
}

/** Deletes by tag: what else carries the digest stays. False when there was no such tag. */
export async function deleteTag(requests: RepositoryRequests, tag: string, signal?: AbortSignal): Promise<boolean> {
  if (!isTag(tag)) throw new RegistryError('rejected', `"${tag.slice(0, 160)}" is not a tag`);
  const call = { operation: 'tag-delete', need: DELETE, signal } as const;
  const answer = await requests.send(call, { method: 'DELETE', url: manifestUrl(requests, tag), headers: {} });
  if (answer.status === 404) {
    answer.discard();
    return false;
  }
  if (answer.status !== 202 && answer.status !== 200)
    throw await requests.failure(`cannot delete ${nameOf(requests, tag)}`, answer);
  answer.discard();
  return true;
}

function manifestUrl(requests: RepositoryRequests, reference: string): URL {
  if (!isTag(reference) && !isDigest(reference)) {
    throw new RegistryError('rejected', `"${reference.slice(0, 160)}" is neither a tag nor a digest`);
  }
  return requests.url(`manifests/${reference}`);
}

/** `host/repository:tag` or `host/repository@digest`. */
function nameOf({ context }: RepositoryRequests, reference: string): string {
  return `${context.host}/${context.repository}${isDigest(reference) ? '@' : ':'}${reference}`;
}

function mismatch(requests: RepositoryRequests, wanted: string, got: string): RegistryError {
  return new RegistryError(
    'digest-mismatch',
    `${nameOf(requests, wanted)}: the manifest's bytes have the digest ${got}`,
  );
}

/** The type that the registry stated, else the one the manifest states of itself. */
function mediaTypeOf(answer: HttpResponse, bytes?: Buffer): string {
  const stated = (answer.header('content-type') ?? '').split(';')[0]!.trim().toLowerCase();
  if (bytes === undefined || (stated !== '' && stated !== 'application/json' && stated !== 'text/plain')) return stated;
  try {
    const own = (JSON.parse(bytes.toString('utf8')) as { mediaType?: unknown }).mediaType;
    return typeof own === 'string' && own !== '' ? own : stated;
  } catch {
    return stated;
  }
}

function rateLimitOf(answer: HttpResponse): Pick<ManifestHead, 'rateLimit'> {
  const rateLimit = parseRateLimit((name) => answer.header(name));
  return rateLimit === undefined ? {} : { rateLimit };
}
