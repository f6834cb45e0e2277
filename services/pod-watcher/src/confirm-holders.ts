import type { CachedImage, HoldersConfirmReply, HoldersConfirmRequest } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';
import { imageIdentity } from './identity.ts';
import type { Holder } from './usage.ts';
import { heldBy, RETAINED } from './why-kept.ts';

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
  const held = (): Answer | undefined => {
    const [first] = heldBy({ holders: view.holdersOf(image), expected: view.expected(image) });
    return first === undefined ? undefined : { uid, verdict: 'held', holder: first.message };
  };
  const before = held();
  if (before !== undefined) return before;
  const known = view.objectsOf(image).find(({ metadata }) => metadata.uid === uid);
  if (known === undefined) return { uid, verdict: 'unknown' };
  let object: CachedImage;
  try {
    object = await fresh(known.metadata.name);
  } catch {
    return { uid, verdict: 'unknown' };
  }
  if (object.metadata.uid !== uid || imageIdentity(object) !== image) return { uid, verdict: 'unknown' };
  if (object.spec.retain === true) return { uid, verdict: 'held', holder: RETAINED.message };
  // The read took time: somebody may have come meanwhile.
  return held() ?? { uid, verdict: 'free' };
}
