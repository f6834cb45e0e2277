import { type CachedImage, FORCE_UPDATE_ANNOTATION, stanzaOf } from '@kuik/contracts';
import { nextStep, type RetryTimes } from './next-step.ts';

/**
 * When a failed copy is tried again, epoch ms; undefined when nothing failed, or when `nextStep` leaves the image alone or tries at
 * once. A function of the resource alone, so that every replica and every look says the same.
 */
export function nextTry(image: CachedImage, retry: RetryTimes): number | undefined {
  const error = stanzaOf(image, 'cache')?.error;
  if (error === undefined) return undefined;
  const held = (stanzaOf(image, 'usedBy')?.count ?? 0) > 0;
  const step = nextStep(
    image,
    { duplicate: false, held, forced: false, missing: false, moved: false, retry },
    Date.parse(error.at),
  );
  return step.do === 'wait' ? step.until : undefined;
}

/** For a status, which is read at any time: ` Next try at 2026-11-28T14:05:10Z (or now: kubectl ...)`; empty when there is none. */
export function nextTryAt(image: CachedImage, retry: RetryTimes): string {
  const until = nextTry(image, retry);
  if (until === undefined) return '';
  return ` Next try at ${new Date(until).toISOString().slice(0, 19)}Z ${byHand(image)}`;
}

/** The value is new each time: the same one again would be no change, and nobody would see it. */
function byHand({ metadata }: CachedImage): string {
  return `(or now: kubectl annotate --overwrite ci ${metadata.name} ${FORCE_UPDATE_ANNOTATION}=$(date +%s))`;
}
