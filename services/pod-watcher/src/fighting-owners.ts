import type { PodOwner, PodView } from './pod-view.ts';

export interface FightRules {
  /** An owner fights when so many of its pods in a row were rewritten, each made in place of one that was deleted. */
  readonly pods: number;
  /** And the first of these was made no longer ago than this, ms. */
  readonly withinMs: number;
}

/** An owner that deletes its pods because they were rewritten, and makes them anew. */
export interface Fight {
  readonly owner: PodOwner;
  readonly namespace: string;
  /** The first of its pods' images, as it was written and as it was rewritten. */
  readonly from: string;
  readonly to: string;
  /** Pods in a row. */
  readonly count: number;
}

interface Row {
  /** When the pods that were deleted one in place of the other were made, epoch ms. */
  births: number[];
  /** Pods made since the last of them was deleted. */
  readonly successors: Set<string>;
  /** When the last of them was deleted, epoch ms. */
  deletedAt: number;
}

/** Rows that are remembered; when there are more, the one whose last deletion is longest ago goes. */
const ROWS_MAX = 1_000;

/**
 * Finds owners that fight the rewriting of their pods, from pods that come and go. Pure but for its memory.
 *
 * A row is one owner (by uid) and one rewriting (the same images from and to). A deleted pod begins a row; a deleted pod that was made after
 * the last deletion of its row prolongs it; any other changes nothing: however many pods an owner scales away at once, that is one step.
 * Not counted: pods that were not rewritten or have no owner, that had completed, that their node or another pod disrupts, and pods too
 * old to be one of a row that counts. So rollouts (of ReplicaSets each is another owner; pods that were there before are no successors)
 * and drains are no fights.
 *
 * An operator's own kind is found as soon as the last pod of a row is made: the next one is not rewritten any more. Controllers of
 * Kubernetes' own workloads never look at images of pods: somebody else deletes theirs, a person perhaps, so that the deletion of the last pod
 * of the row is waited for.
 */
export class FightingOwners {
  readonly #rules: FightRules;
  /** In the order of their last deletions. */
  readonly #rows = new Map<string, Row>();

  constructor(rules: FightRules) {
    this.#rules = rules;
  }

  /** Takes in what became of a pod. `now` is epoch ms. Returns the fight that this makes known; its row is forgotten with that. */
  see(before: PodView | undefined, after: PodView | undefined, now: number): Fight | undefined {
    this.#forgetOld(now);
    const same = before?.uid === after?.uid;
    const died = before !== undefined && !before.deleting && (!same || after?.deleting === true);
    const born = after !== undefined && !after.deleting && (before === undefined || !same);
    const found = died ? this.#died(same && after !== undefined ? after : before, now) : undefined;
    return born ? (this.#born(after) ?? found) : found;
  }

  /** Begins anew with an owner. */
  forget(ownerUid: string): void {
    for (const key of this.#rows.keys()) if (key.startsWith(`${ownerUid}\n`)) this.#rows.delete(key);
  }

  /** Rows that are remembered. */
  get size(): number {
    return this.#rows.size;
  }

  #died(pod: PodView, now: number): Fight | undefined {
    const { owner, createdAt = 0 } = pod;
    if (owner === undefined || pod.finishedAt !== undefined || pod.disrupted || now - createdAt > this.#rules.withinMs)
      return undefined;
    const key = rowKey(owner, pod);
    if (key === undefined) return undefined;
    const row = this.#rows.get(key);
    if (row !== undefined && !row.successors.has(pod.uid)) return undefined;
    const births = [...(row?.births ?? []), createdAt].slice(-this.#rules.pods);
    this.#rows.delete(key);
    const [first = createdAt] = births;
    if (births.length === this.#rules.pods && now - first <= this.#rules.withinMs) return fightOf(owner, pod, births);
    this.#rows.set(key, { births, successors: new Set(), deletedAt: now });
    if (this.#rows.size > ROWS_MAX) this.#rows.delete(this.#rows.keys().next().value!);
    return undefined;
  }

  #born(pod: PodView): Fight | undefined {
    const { owner, createdAt = 0 } = pod;
    if (owner === undefined || this.#rows.size === 0) return undefined;
    const key = rowKey(owner, pod);
    const row = key === undefined ? undefined : this.#rows.get(key);
    if (key === undefined || row === undefined) return undefined;
    row.successors.add(pod.uid);
    const births = [...row.births, createdAt].slice(-this.#rules.pods);
    const [first = createdAt] = births;
    if (isWorkload(owner) || births.length < this.#rules.pods || createdAt - first > this.#rules.withinMs)
      return undefined;
    this.#rows.delete(key);
    return fightOf(owner, pod, births);
  }

  /** Whoever was made before the last deletion of such a row is too old to count. */
  #forgetOld(now: number): void {
    for (const [key, { deletedAt }] of this.#rows) {
      if (now - deletedAt <= this.#rules.withinMs) return;
      this.#rows.delete(key);
    }
  }
}

/** An image that the webhook rewrote. */
interface Rewriting {
  readonly from: string;
  readonly to: string;
}

function rewritings({ images, originals }: PodView): Rewriting[] {
  return images.flatMap(({ key, image }) => {
    const from = originals[key];
    return from === undefined || from === image ? [] : [{ from, to: image }];
  });
}

/** Undefined when nothing of the pod was rewritten. */
function rowKey({ uid }: PodOwner, pod: PodView): string | undefined {
  const all = rewritings(pod);
  return all.length === 0 ? undefined : [uid, ...all.map(({ from, to }) => `${from} ${to}`).sort()].join('\n');
}

function fightOf(owner: PodOwner, pod: PodView, births: readonly number[]): Fight {
  const [{ from, to } = { from: '', to: '' }] = rewritings(pod);
  return { owner, namespace: pod.namespace, from, to, count: births.length };
}

/** One of the kinds that Kubernetes itself makes pods of. */
function isWorkload({ apiVersion, kind }: PodOwner): boolean {
  return /^(apps|batch)\//.test(apiVersion) || (apiVersion === 'v1' && kind === 'ReplicationController');
}
