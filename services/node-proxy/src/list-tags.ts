import { CacheDown, type CacheAccess, CacheMiss } from './cache-access.ts';
import { failureOf, isSilence, UpstreamFailure } from './failure.ts';
import type { Repository } from './pull-path.ts';
import type { UpstreamAccess } from './upstream-access.ts';

export interface TagPage {
  readonly tags: readonly string[];
  /** Goes into `last` of the next request. */
  readonly next?: string;
  readonly from: 'cache' | 'upstream';
}

const PAGE_MAX = 1000;
/** Tags of the cache that are ours, not the image's: anchors, and the lists of what refers to a digest. */
const ANCHOR = /^(kuik-)?sha(256|384|512)-[0-9a-f]+$/;

/** `n` and `last` of a query; what is no number is left out, what is too large cut to what a registry gives. */
export function pageOf(query: string): { n?: number; last?: string } {
  const parameters = new URLSearchParams(query);
  const asked = parameters.get('n') ?? '';
  const n = asked === '' ? NaN : Number(asked);
  const last = parameters.get('last');
  return {
    ...(Number.isInteger(n) && n >= 0 ? { n: Math.min(n, PAGE_MAX) } : {}),
    ...(last === null || last === '' || last.length > 1024 ? {} : { last }),
  };
}

/**
 * A page of a repository's tags: upstream's, and when it cannot answer what the cache holds, without our anchors. Through the registry
 * client, not by passing the request on: only that knows where a name really is, what it may be sent, and whom to trust.
 */
export async function listTags(
  parts: { cache: CacheAccess; upstream: UpstreamAccess },
  request: { repositories: readonly Repository[]; query: string; requestId: string },
): Promise<TagPage> {
  const asked = pageOf(request.query);
  // None (distribution spec, "Listing Tags"): whether there is such a repository is still to be seen, and not every registry knows of none.
  const none = asked.n === 0;
  const page = none ? { ...asked, n: 1 } : asked;
  const failures: unknown[] = [];
  for (const repository of request.repositories) {
    try {
      const found = await parts.upstream.ask(repository, request.requestId, (client) => client.listTags(page));
      return none ? { tags: [], from: 'upstream' } : { ...found, from: 'upstream' };
    } catch (error) {
      if (!(error instanceof UpstreamFailure)) throw error;
      failures.push(error);
      if (error.code !== 'not-found' && error.code !== 'dns') break;
    }
  }
  if (!failures.some((failure) => failure instanceof UpstreamFailure && isSilence(failure))) {
    throw failureOf(failures, 'tags');
  }
  for (const repository of request.repositories) {
    try {
      const found = await parts.cache.ask(repository, 'the tags', (client) => client.listTags(page), request);
      return none
        ? { tags: [], from: 'cache' }
        : { ...found, tags: found.tags.filter((tag) => !ANCHOR.test(tag)), from: 'cache' };
    } catch (error) {
      if (!(error instanceof CacheMiss) && !(error instanceof CacheDown)) throw error;
    }
  }
  throw failureOf(failures, 'tags');
}
