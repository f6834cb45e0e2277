/** What can become of a registry of others; each with what it does to whom it meets. In the order of the table. */
export const UPSTREAM_CASES = [
  ['up', 'answers at once'],
  ['slow', 'answers later than a tag is waited for, earlier than it is given up'],
  ['401', 'refuses; nobody has a credential for it'],
  ['403', 'refuses; nobody has a credential for it'],
  ['credential refused', 'refuses with 401, also the credential that there is for it'],
  ['404', 'has no such image'],
  ['405 on HEAD', 'knows no HEAD'],
  ['429', 'limits us, with `Retry-After`'],
  ['5xx', 'fails'],
  ['resets mid-blob', 'breaks each body of a blob off after a part of it, and gives the rest when asked for it'],
  ['stalls mid-blob', 'falls silent after a part of a blob, and gives the rest when asked for it'],
  ['dies mid-blob', 'breaks a body of a blob off, and every connection after that'],
  ['wrong bytes', 'sends bytes that are not what their digest says'],
  ['dead CDN', 'redirects blobs to a host that takes no connection'],
  ['down', 'takes no connection'],
  ['black-holed', 'takes the connection, and never answers'],
  ['lost packets', 'is a place where nobody takes the connection, nor refuses it'],
] as const;
export type UpstreamCase = (typeof UPSTREAM_CASES)[number][0];

/** What can become of the cache registry. */
export const CACHE_CASES = [
  ['hit', 'holds the image'],
  ['miss', 'never had it'],
  ['half copied', 'holds the config and not yet the layer, nor the manifest that comes last'],
  ['read-only', 'lacks it and takes nothing in'],
  ['disk full', 'lacks it and has no room for it'],
  ['wiped', 'lost it, and nobody has noticed yet: the state of the tag says that it is there'],
  ['down', 'takes no connection; it holds the image'],
  ['black-holed', 'takes the connection, and never answers; it holds the image'],
] as const;
export type CacheCase = (typeof CACHE_CASES)[number][0];

/** What is asked for. Who is asked about a tag follows from what is known of it: hence three. */
export const PULL_CASES = [
  ['tag', 'a tag of which the node knows whether it is kept'],
  ['checked tag', 'the same, of a repository whose tags are checked when they are pulled (`checkOnPull: Always`)'],
  ['unknown tag', 'a tag of which nobody can tell: NATS is away'],
  ['digest', 'a manifest by its digest'],
  ['blob', 'a whole layer'],
  ['Range', 'a part of a layer'],
  ['tags', 'the list of the tags of a repository'],
  ['referrers', 'the list of what refers to a manifest; in the cache and upstream something does'],
] as const;
export type PullCase = (typeof PULL_CASES)[number][0];

/** One place of the table. */
export interface FailureCell {
  readonly upstream: UpstreamCase;
  readonly cache: CacheCase;
  readonly pull: PullCase;
}

/** Every place of the table, in its order. */
export const FAILURE_CELLS: readonly FailureCell[] = PULL_CASES.flatMap(([pull]) =>
  CACHE_CASES.flatMap(([cache]) => UPSTREAM_CASES.map(([upstream]) => ({ upstream, cache, pull }))),
);

/** Whether it is a list, which has no digest. */
export function isList(pull: PullCase): boolean {
  return pull === 'tags' || pull === 'referrers';
}

/** Whether the tag's state says that the cache holds it. */
export function isKept(cache: CacheCase): boolean {
  return cache === 'hit' || cache === 'wiped' || isAway(cache);
}

/** Whether the cache cannot be asked. */
export function isAway(cache: CacheCase): boolean {
  return cache === 'down' || cache === 'black-holed';
}
