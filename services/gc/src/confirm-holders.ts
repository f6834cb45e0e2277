import type { Bus } from '@kuik/bus';
import { HOLDERS_CONFIRM, type CachedImage, type HoldersConfirmReply } from '@kuik/contracts';

export type HolderVerdict = HoldersConfirmReply['images'][number]['verdict'];

/** One question holds at most this many images. */
export const CONFIRM_BATCH = 100;

/**
 * Asks pod-watcher who holds these images (at most CONFIRM_BATCH); the answer by uid. What it does not speak of is `unknown`. Throws BusError when nobody
 * answers: then nothing may go.
 */
export async function confirmHolders(
  bus: Pick<Bus, 'request'>,
  images: readonly CachedImage[],
  timeoutMs: number,
): Promise<ReadonlyMap<string, HolderVerdict>> {
  if (images.length === 0) return new Map();
  const asked = images.map(({ metadata, spec }) => ({ uid: metadata.uid, reference: spec.sourceImage }));
  const reply = await bus.request(HOLDERS_CONFIRM, { images: asked }, { timeoutMs });
  const known = new Map(reply.images.map(({ uid, verdict }) => [uid, verdict]));
  return new Map(asked.map(({ uid }) => [uid, known.get(uid) ?? 'unknown']));
}
