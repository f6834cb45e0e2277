import type { Resource } from '../port.ts';
import type { Json } from '../json.ts';
import { holdsLeaf, leavesOf, readLeaf, removeLeaf, setLeaf, type Leaf, type Leaves } from './owned-fields.ts';

/** Which manager owns which leaves of one object; the subresource is part of a manager's name. */
export type Owners = Map<string, Leaves>;

/**
 * A forced server-side apply: sets what the patch holds, removes what this manager alone owned and holds no more, and takes fields
 * of another value away from other managers. Changes `document` and `owners` in place.
 */
export function applyForced(resource: Resource, document: Json, owners: Owners, manager: string, patch: Json): void {
  const before: Leaves = owners.get(manager) ?? new Map<string, Leaf>();
  const wanted = leavesOf(resource, patch);
  for (const [key, leaf] of before) {
    if (wanted.has(key)) continue;
    const shared = [...owners].some(([other, leaves]) => other !== manager && leaves.has(key));
    if (!shared) removeLeaf(document, leaf);
  }
  for (const [key, leaf] of wanted) {
    if (!holdsLeaf(readLeaf(document, leaf), leaf.value)) {
      for (const [other, leaves] of owners) if (other !== manager) leaves.delete(key);
    }
    setLeaf(document, leaf);
  }
  owners.set(manager, wanted);
}

/** After an update that is no apply: what it changed belongs to no applier any more. */
export function disown(document: Json, owners: Owners): void {
  for (const leaves of owners.values()) {
    for (const [key, leaf] of leaves) if (!holdsLeaf(readLeaf(document, leaf), leaf.value)) leaves.delete(key);
  }
}
