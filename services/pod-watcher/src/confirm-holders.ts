import type { CachedImage, HoldersConfirmReply, HoldersConfirmRequest } from '@kuik/contracts';
import { formatReference, tryParseReference } from '@kuik/image';
import { imageIdentity } from './identity.ts';
import type { Holder } from './usage.ts';

type Asked = HoldersConfirmRequest['images'][number];
type Answer = HoldersConfirmReply['images'][number];

export interface ConfirmView {
  holdersOf(image: string): ReadonlyMap<string, Holder>;
  expected(image: string): boolean;
  objectsOf(image: string): readonly CachedImage[];
}

/**
 * Whether anybody holds an image, in this order: it is no reference: unknown; a pod holds it, or was just admitted: held; no
 * object of that uid is known: unknown; the object cannot be read now, or is another one: unknown; it (read afresh) is retained:
 * held; free. `fresh` reads an object; it may throw.
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
  const [holder] = view.holdersOf(image).keys();
  if (holder !== undefined) return { uid, verdict: 'held', holder: `Pod ${holder}` };
  if (view.expected(image)) return { uid, verdict: 'held', holder: 'a pod that was just admitted' };
  const known = view.objectsOf(image).find(({ metadata }) => metadata.uid === uid);
  if (known === undefined) return { uid, verdict: 'unknown' };
  let object: CachedImage;
  try {
    object = await fresh(known.metadata.name);
  } catch {
    return { uid, verdict: 'unknown' };
  }
  if (object.metadata.uid !== uid || imageIdentity(object) !== image) return { uid, verdict: 'unknown' };
  if (object.spec.retain === true) return { uid, verdict: 'held', holder: 'spec.retain' };
  // The read took time: somebody may have come meanwhile.
  const [late] = view.holdersOf(image).keys();
  if (late !== undefined) return { uid, verdict: 'held', holder: `Pod ${late}` };
  if (view.expected(image)) return { uid, verdict: 'held', holder: 'a pod that was just admitted' };
  return { uid, verdict: 'free' };
}
