import { z } from 'zod';

/**
 * ConfigMap in our own namespace: owners whose pods are not rewritten any more, because they fought it. A key is the owner's uid, and its
 * being there is all that counts; the value is for people and for tidying up. pod-watcher alone adds; whoever takes a key away undoes it.
 */
export const SPARED_OWNERS = 'kuik-spared-owners';

/** What is said of a spared owner, as JSON. */
const sparedOwner = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  namespace: z.string(),
  name: z.string(),
  /** When it was spared, ISO 8601. */
  since: z.iso.datetime(),
  /** The day on which a pod of it was last seen, when that is long after `since`. */
  seen: z.iso.date().optional(),
  /** The image that it deleted pods for, as it was written and as it was rewritten. */
  from: z.string(),
  to: z.string(),
  /** How many pods in a row were rewritten so. */
  count: z.number().int(),
});
export type SparedOwner = z.output<typeof sparedOwner>;

/** Whether a uid can be a key of a ConfigMap. */
export function isSparableUid(uid: string): boolean {
  return /^[-._a-zA-Z0-9]{1,253}$/.test(uid);
}

/** The value under an owner's uid. The same for the same, whatever the order of the fields. */
export function writeSparedOwner(owner: SparedOwner): string {
  return JSON.stringify(sparedOwner.parse(owner));
}

/** What a value says; undefined when it is not ours: a person may spare an owner with any text. */
export function readSparedOwner(value: string): SparedOwner | undefined {
  try {
    return sparedOwner.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}
