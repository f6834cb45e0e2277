import type { CopyJob } from '@kuik/contracts';

/** Reasons of `nextStep` for copies of what is served already: nobody waits for them. */
const BACKGROUND: ReadonlySet<string> = new Set(['UpdateDue', 'TagMoved', 'PlatformsChanged']);

/** Whether a copy may wait when little is left of its registry's quota. */
export function isBackground({ reason }: Pick<CopyJob, 'reason'>): boolean {
  return BACKGROUND.has(reason);
}
