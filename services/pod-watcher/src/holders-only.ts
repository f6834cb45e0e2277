import type { Facts } from './facts.ts';
import { sameJson } from './same-json.ts';
import type { Summary } from './summary.ts';

/** All that this service says of an image. */
export type Description = Facts & Summary;

/**
 * Whether two descriptions differ in nothing but which pods hold the image, while some do: how many, their names, and what the summary
 * makes of that. The first holder, the last one, and their pull secrets are more than that.
 */
export function onlyHoldersDiffer(before: Description, next: Description): boolean {
  const held = (before.usedBy?.count ?? 0) > 0 && (next.usedBy?.count ?? 0) > 0;
  return held && sameJson(withoutHolders(before), withoutHolders(next));
}

function withoutHolders({ usedBy, display, conditions = [], ...rest }: Description): object {
  return {
    ...rest,
    forUid: usedBy?.forUid,
    display: { ...display, usedBy: '' },
    conditions: conditions.map((condition) => (condition.type === 'Held' ? { ...condition, message: '' } : condition)),
  };
}
