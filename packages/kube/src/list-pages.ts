import { collectionPath, withQuery } from './paths.ts';
import type { KubeObject, ListOptions, Page, Resource } from './port.ts';

interface ListAnswer<T> {
  items?: T[] | null;
  metadata?: { resourceVersion?: string; continue?: string };
}

/** Follows a list's `continue` tokens to the end; `get` fetches one path. */
export async function* listPages<T extends KubeObject>(
  resource: Resource,
  options: ListOptions,
  get: (path: string) => Promise<ListAnswer<T>>,
): AsyncGenerator<Page<T>> {
  const { namespace, labelSelector, fieldSelector, limit = 500 } = options;
  let token: string | undefined;
  do {
    const query = { limit: limit === 0 ? undefined : limit, labelSelector, fieldSelector, continue: token };
    const answer = await get(withQuery(collectionPath(resource, namespace), query));
    yield { items: answer.items ?? [], resourceVersion: answer.metadata?.resourceVersion ?? '' };
    token = answer.metadata?.continue;
  } while (token !== undefined && token !== '');
}

/** All pages as one. */
export async function wholeList<T>(pages: AsyncIterable<Page<T>>): Promise<Page<T>> {
  const all: Page<T> = { items: [], resourceVersion: '' };
  for await (const page of pages) {
    for (const item of page.items) all.items.push(item);
    all.resourceVersion = page.resourceVersion;
  }
  return all;
}
