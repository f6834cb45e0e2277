import { parseDigest } from './digest.ts';
import { decodeHost, encodeHost } from './host-encoding.ts';
import { isRepositoryPath, type Reference } from './reference.ts';

/** An anchor tag holds this many hex digits at most (a tag holds 128 characters). */
const ANCHOR_HEX = 64;

/** The repository of the cache registry that keeps an upstream repository: `<host__port>/<path>`; undefined when not encodable. */
export function toCacheRepository(repository: Pick<Reference, 'host' | 'path'>): string | undefined {
  const host = encodeHost(repository.host);
  const name = host === undefined ? undefined : `${host}/${repository.path}`;
  return name !== undefined && isRepositoryPath(name) ? name : undefined;
}

/** Inverse of toCacheRepository; undefined for a name that it never gives. */
export function fromCacheRepository(name: string): Pick<Reference, 'host' | 'path'> | undefined {
  const slash = name.indexOf('/');
  if (slash === -1 || !isRepositoryPath(name)) return undefined;
  const host = decodeHost(name.slice(0, slash));
  const path = name.slice(slash + 1);
  return host === undefined || toCacheRepository({ host, path }) !== name ? undefined : { host, path };
}

/** The tag that anchors a digest in the cache: `kuik-sha256-<hex>`; longer algorithms keep their first 64 hex digits. */
export function anchorTag(digest: string): string {
  const parsed = parseDigest(digest);
  if (parsed === undefined) throw new TypeError(`not a digest: ${digest}`);
  return `kuik-${parsed.algorithm}-${parsed.hex.slice(0, ANCHOR_HEX)}`;
}

/** The digest that an anchor names, when the tag holds all of it; undefined for every other tag. */
export function digestOfAnchor(tag: string): string | undefined {
  const match = /^kuik-(sha256)-([0-9a-f]{64})$/.exec(tag);
  return match === null ? undefined : `${match[1]}:${match[2]}`;
}

/** The tag that lists what refers to a digest (OCI distribution spec, "Referrers Tag Schema"): `sha256-<hex>`, 64 hex digits at most. */
export function referrersTag(digest: string): string {
  return anchorTag(digest).slice('kuik-'.length);
}

/** The tags under which cosign keeps signatures, attestations and SBOMs of a digest: `sha256-<hex>.sig` and its kin. */
export function cosignTags(digest: string): string[] {
  return ['sig', 'att', 'sbom'].map((suffix) => `${referrersTag(digest)}.${suffix}`);
}

/** The digest that such a tag is about, of either kind; undefined for every other tag. */
export function subjectOfTag(tag: string): string | undefined {
  const match = /^(sha256)-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/.exec(tag);
  return match === null ? undefined : `${match[1]}:${match[2]}`;
}

/** The tag under which the cache keeps a reference: its own tag, or its digest's anchor (a digest never writes the tag beside it). */
export function cacheTag(reference: Reference): string {
  if (reference.digest !== undefined) return anchorTag(reference.digest);
  if (reference.tag === undefined) throw new TypeError('a reference has a tag or a digest');
  return reference.tag;
}
