import { ERROR_CODES, stanzaOf, type CachedImage, type UpstreamStanza } from '@kuik/contracts';
import type { Reference } from '@kuik/image';
import { goneSinceOf } from './gone-since.ts';

/** One check: by which name the image is asked for. */
export type Ask =
  /** `resolve`: a digest that the answer names and that is not `known` is asked for as well. */
  | { readonly by: 'tag'; readonly reference: string; readonly resolve: boolean; readonly known?: string | undefined }
  /** `tag` is asked for as well when the digest is gone; not when that is known. */
  | { readonly by: 'digest'; readonly digest: string; readonly tag?: string };

/**
 * A tag may name what the registry does not have (a stale proxy cache, content that a scanner blocks). With `resolveDigest` each check asks
 * one thing all the same once a digest is known: the tag (has it moved, is it there?) and the digest that it named last (is the content there?)
 * in turns, `last` being what was asked before. A tag that named nothing is asked for itself, and what it names once it is back; a reference by digest has nothing to resolve.
 */
export function whatToAsk(
  image: CachedImage,
  { digest, tag }: Reference,
  resolveDigest: boolean,
  last: Ask['by'] | undefined,
): Ask {
  if (digest !== undefined) return { by: 'tag', reference: digest, resolve: false };
  const upstream = stanzaOf(image, 'upstream');
  const named = upstream !== undefined && namesSomething(upstream) ? upstream.digest : undefined;
  if (resolveDigest && named !== undefined && last === 'tag') {
    return { by: 'digest', digest: named, ...(isLie(upstream!) ? {} : { tag: tag! }) };
  }
  // That the tag is there does not bring back what it named in vain.
  const doubtful = goneSinceOf(upstream) !== undefined && !isLie(upstream!);
  const known = doubtful ? undefined : (upstream?.digest ?? stanzaOf(image, 'cache')?.digest);
  return { by: 'tag', reference: tag!, resolve: resolveDigest, known };
}

/** When it was asked last, the tag was there. */
function namesSomething(upstream: UpstreamStanza): boolean {
  return upstream.state === 'Available' || upstream.state === 'Moved' || isLie(upstream);
}

function isLie({ error }: UpstreamStanza): boolean {
  return error?.code === ERROR_CODES.tagLies.code;
}
