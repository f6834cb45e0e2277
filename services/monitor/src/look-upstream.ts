import { RegistryError, type ManifestHead } from '@kuik/registry';
import type { Ask } from './what-to-ask.ts';

/** What upstream has, and by which name it was found. */
export interface Seen {
  readonly told: ManifestHead;
  readonly by: Ask['by'];
}

type Look = (reference: string) => Promise<ManifestHead>;

/**
 * Asks by `look` what an image's check wants to know, in two requests at most: a tag, and the digest that it names when that is to be resolved and was not
 * known; or a digest, and the tag when that is gone (with it, or the tag has gone on without it, or lies). `asking` is told each digest that a tag
 * named and that is asked for (undefined: a tag is). Throws what `look` throws.
 */
export async function lookUpstream(ask: Ask, look: Look, asking: (digest: string | undefined) => void): Promise<Seen> {
  if (ask.by === 'tag') {
    asking(undefined);
    const told = await look(ask.reference);
    if (!ask.resolve || told.digest === ask.known) return { told, by: 'tag' };
    asking(told.digest);
    return { told: await look(told.digest), by: 'tag' };
  }
  const { digest, tag } = ask;
  asking(digest);
  try {
    return { told: await look(digest), by: 'digest' };
  } catch (error) {
    const gone = error instanceof RegistryError && error.code === 'not-found' && error.rateLimit?.remaining !== 0;
    if (!gone || tag === undefined) throw error;
    asking(undefined);
    const told = await look(tag);
    // What it names now is the next check's to ask for.
    if (told.digest !== digest) return { told, by: 'tag' };
    asking(digest);
    throw error;
  }
}
