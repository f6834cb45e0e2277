import { RegistryError } from './errors.ts';
import type { RepositoryClient } from './port.ts';

/** What fits into one page of any registry that we know of; a longer list is not read. */
const PAGE = 1_000;

export interface ListedTagsOptions {
  /** A tag that was read a moment ago: a list without it (of a mirror that keeps old ones) is not believed. */
  readonly witness: string;
  /** Told when the repository's tags cannot be had this way: too many, none given, or not the newest. */
  readonly onUnlisted?: (() => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * All tags of a repository, when one request tells them; undefined when each has to be asked for by itself. Throws RegistryError `aborted` and
 * `rate-limited`.
 */
export async function listedTags(
  client: Pick<RepositoryClient, 'listTags'>,
  { witness, onUnlisted, signal }: ListedTagsOptions,
): Promise<ReadonlySet<string> | undefined> {
  try {
    const { tags, next } = await client.listTags({ n: PAGE, ...(signal === undefined ? {} : { signal }) });
    // Who caps pages, and does not say that there are more, gives a round number of tags.
    const whole = next === undefined && tags.length % 50 !== 0;
    if (whole && tags.includes(witness)) return new Set(tags);
  } catch (error) {
    const stops = !(error instanceof RegistryError) || error.code === 'aborted' || error.code === 'rate-limited';
    if (stops) throw error;
  }
  onUnlisted?.();
  return undefined;
}
