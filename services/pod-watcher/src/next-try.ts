import { type CachedImage, FORCE_UPDATE_ANNOTATION, formatDuration, stanzaOf } from '@kuik/contracts';
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

/** For an event, which is read with its age: ` Next try in 4m (or now: kubectl ...)`. `now` is epoch ms. */
export function nextTryIn(image: CachedImage, retry: RetryTimes, now: number): string {
  const until = nextTry(image, retry);
  if (until === undefined) return '';
  const ms = Math.max(until - now, 0);
  const step = ms < 60_000 ? 1000 : 60_000;
  return ` Next try in ${formatDuration(Math.ceil(ms / step) * step)} ${byHand(image)}`;
}

/** The value is new each time: the same one again would be no change, and nobody would see it. */
function byHand({ metadata }: CachedImage): string {
  return `(or now: kubectl annotate --overwrite ci ${metadata.name} ${FORCE_UPDATE_ANNOTATION}=$(date +%s))`;
}
