import { RegistryError } from './errors.ts';
import type { RepositoryRequests } from './repository-requests.ts';

/** More of a Link header is not looked at. */
const LINK_MAX = 4096;
const TAGS_BODY_MAX = 8 * 1024 * 1024;

/** One page of tags. `next` goes into `last` of the next call; it is opaque (some registries page by tokens of their own). */
export async function listTags(
  requests: RepositoryRequests,
  options: { n?: number; last?: string; signal?: AbortSignal },
): Promise<{ tags: string[]; next?: string }> {
  const { host, repository } = requests.context;
  const url = requests.url('tags/list');
  if (options.last?.startsWith('?') === true) {
    url.search = options.last;
  } else {
    if (options.n !== undefined) url.searchParams.set('n', String(options.n));
    if (options.last !== undefined) url.searchParams.set('last', options.last);
  }
  const call = { operation: 'tags', need: { actions: ['pull'] }, signal: options.signal } as const;
  const answer = await requests.send(call, { method: 'GET', url, headers: { accept: 'application/json' } });
  if (answer.status !== 200) throw await requests.failure(`cannot list the tags of ${host}/${repository}`, answer);
  const body = await answer.read(TAGS_BODY_MAX);
  const next = nextPage(answer.header('link'), url);
  return { tags: parseTags(body, `${host}/${repository}`), ...(next === undefined ? {} : { next }) };
}

/** The next page by a `Link: <...>; rel="next"` header: its `last`, or its whole query when it pages otherwise. */
export function nextPage(link: string | undefined, base: URL): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*rel="?next"?/i.exec((link ?? '').slice(0, LINK_MAX))?.[1];
  if (target === undefined || !URL.canParse(target, base.href)) return undefined;
  // Only the query is believed: the list is always asked for at the registry itself.
  const { search, searchParams } = new URL(target, base);
  return searchParams.get('last') ?? (search === '' ? undefined : search);
}

function parseTags(body: Buffer, name: string): string[] {
  try {
    const { tags } = JSON.parse(body.toString('utf8')) as { tags?: unknown };
    if (tags === null || tags === undefined) return [];
    if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string')) return tags;
  } catch (error) {
    throw new RegistryError('invalid-response', `the tags of ${name} are not JSON`, { cause: error });
  }
  throw new RegistryError('invalid-response', `the tags of ${name} are not a list`);
}
