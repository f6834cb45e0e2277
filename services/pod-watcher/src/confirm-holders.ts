import type { CachedImage, HoldersConfirmReply, HoldersConfirmRequest } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';
import { imageIdentity } from './identity.ts';
import type { Holder } from './usage.ts';
import { heldBy, KEPT_REASONS, RETAINED } from './why-kept.ts';

type Asked = HoldersConfirmRequest['images'][number];
type Answer = HoldersConfirmReply['images'][number];

export interface ConfirmView {
  holdersOf(image: string): ReadonlyMap<string, Holder>;
  expected(image: string): { readonly requestId: string } | undefined;
  objectsOf(image: string): readonly CachedImage[];
}

/**
 * Whether anybody holds an image, in this order: it is no reference: unknown; somebody holds it, or a pod was just admitted: held; no
 * object of that uid is known: unknown; the object cannot be read now, or is another one: unknown; it (read afresh) is retained:
 * held; free. `holder` is what `why-kept` says of it. `fresh` reads an object; it may throw.
 *
 * Of an object that somebody deleted only holders keep the bytes, since they alone have it made anew: its own `spec.retain` goes with it, and
 * for a pod that was just admitted it waits (unknown) until that has come, or has not.
 */
export async function confirmHolders(
  asked: Asked,
  view: ConfirmView,
  fresh: (name: string) => Promise<CachedImage>,
): Promise<Answer> {
  const { uid } = asked;
  const reference = tryParseReference(asked.reference);
  if (reference === undefined) return { uid, verdict: 'unknown' };
  const image = formatReference(reference);
  const known = view.objectsOf(image).find(({ metadata }) => metadata.uid === uid);
  let deleted = wasDeleted(known);
  const held = (): Answer | undefined => {
    const [first] = heldBy({ holders: view.holdersOf(image), expected: view.expected(image) });
    if (first === undefined) return undefined;
    if (deleted && first.reason === KEPT_REASONS.justAdmitted) return { uid, verdict: 'unknown' };
    return { uid, verdict: 'held', holder: first.message };
  };
  const before = held();
  if (before !== undefined) return before;
  if (known === undefined) return { uid, verdict: 'unknown' };
  let object: CachedImage;
  try {
    object = await fresh(known.metadata.name);
  } catch {
    return { uid, verdict: 'unknown' };
  }
  if (object.metadata.uid !== uid || imageIdentity(object) !== image) return { uid, verdict: 'unknown' };
  deleted = wasDeleted(object);
  if (object.spec.retain === true && !deleted) return { uid, verdict: 'held', holder: RETAINED.message };
  // The read took time: somebody may have come meanwhile.
  return held() ?? { uid, verdict: 'free' };
}

function wasDeleted(image: CachedImage | undefined): boolean {
  return image?.metadata.deletionTimestamp !== undefined;
}
