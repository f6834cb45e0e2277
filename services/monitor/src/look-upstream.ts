import { RegistryError, type ManifestHead } from '@kuik/registry';
import type { Ask } from './what-to-ask.ts';

/** What upstream has, and by which name it was found. */
export interface Seen {
  readonly told: ManifestHead;
  readonly by: Ask['by'];
}

type Look = (reference: string) => Promise<ManifestHead>;

/**
 * Asks by `look` what an image's check wants to know. A digest that is gone is gone with its tag, or the tag has gone on without it, or lies: the tag is asked
 * for, too, then. `asking` is told each digest that a tag named and that is asked for (undefined: a tag is). Throws what `look` throws.
 */
export async function lookUpstream(ask: Ask, look: Look, asking: (digest: string | undefined) => void): Promise<Seen> {
  if (ask.by === 'tag') return lookByTag(ask, look, asking);
  const { digest, tag } = ask;
  asking(digest);
  try {
    return { told: await look(digest), by: 'digest' };
  } catch (error) {
    const gone = error instanceof RegistryError && error.code === 'not-found' && error.rateLimit?.remaining !== 0;
    if (!gone || tag === undefined) throw error;
    const seen = await lookByTag({ by: 'tag', reference: tag, resolve: true, known: digest }, look, asking);
    if (seen.told.digest !== digest) return seen;
    asking(digest);
    throw error;
  }
}

async function lookByTag(
  { reference, resolve, known }: Extract<Ask, { by: 'tag' }>,
  look: Look,
  asking: (digest: string | undefined) => void,
): Promise<Seen> {
  asking(undefined);
  const told = await look(reference);
  if (!resolve || told.digest === known) return { told, by: 'tag' };
  asking(told.digest);
  return { told: await look(told.digest), by: 'tag' };
}
