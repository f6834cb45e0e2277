import type { Bucket } from './port.ts';
import { project, supersedes, type CachedImage, type ImageState } from '@kuik/contracts';

const ATTEMPTS = 5;

/**
 * Tells nodes what an image's resource says now: `project` of the object as our own write returned it, by compare-and-set, never
 * over a newer one. Throws BusError when NATS does not answer.
 */
export async function announceState(
  bucket: Pick<Bucket<ImageState>, 'get' | 'compareAndSet'>,
  image: CachedImage,
): Promise<void> {
  const projected = project(image);
  if (projected === undefined) return;
  const { key, state } = projected;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const stored = await bucket.get(key);
    if (!supersedes(state, stored?.value)) return;
    if ((await bucket.compareAndSet(key, state, stored?.revision ?? 0)) !== undefined) return;
  }
  // Whoever is faster each time tells of the same object: pod-watcher's full list has the last word.
}
