import { type CachedImage, stanzaOf } from '@kuik/contracts';
import { fullName } from './holder-view.ts';
import type { Holder } from './usage.ts';

/** Why an image stays; stable, and those of gc's verdicts where both know them. */
export const KEPT_REASONS = {
  inUse: 'InUse',
  justAdmitted: 'JustAdmitted',
  retained: 'Retained',
  holdersUnknown: 'HoldersUnknown',
  notExpired: 'NotExpired',
} as const;
export type KeptReason = (typeof KEPT_REASONS)[keyof typeof KEPT_REASONS];

export interface Kept {
  readonly reason: KeptReason;
  /** One line for people. */
  readonly message: string;
  /** With `InUse`: the holders of one kind. */
  readonly holders?: { readonly kind: string; readonly count: number; readonly names: readonly string[] };
}

export interface KeptView {
  readonly holders: ReadonlyMap<string, Holder>;
  /** The admission of a pod that no watch has shown yet. */
  readonly expected?: { readonly requestId: string } | undefined;
  readonly object?: CachedImage | undefined;
  /** Collections that are not known in full and up to date, each with what is wrong. */
  readonly unknown: readonly { readonly resource: string; readonly why: string }[];
  /** Epoch ms. */
  readonly now: number;
}

const NAMES_MAX = 20;
const NAMES_IN_LINE = 3;

/**
 * Everything that keeps an image, in the order in which it counts: who holds it, kind by kind, workloads before pods; a pod that was just admitted;
 * `spec.retain`; that somebody may hold it whom nobody could see; its date to come. Empty: nothing keeps it.
 */
export function whyKept(view: KeptView): Kept[] {
  const { object, unknown, now } = view;
  const kept: Kept[] = [...heldBy(view)];
  if (object?.spec.retain === true) kept.push(RETAINED);
  if (unknown.length > 0) {
    const which = unknown.map(({ resource, why }) => `${resource} (${why})`).join(', ');
    kept.push({ reason: 'HoldersUnknown', message: `nothing is removed while these are not known: ${which}` });
  }
  const date = object === undefined ? undefined : dateToCome(object, now);
  if (date !== undefined && view.holders.size === 0) kept.push({ reason: 'NotExpired', message: date });
  return kept;
}

export const RETAINED: Kept = { reason: 'Retained', message: 'spec.retain keeps it' };

/** Who holds it: the part that needs no object. */
export function heldBy({ holders, expected }: Pick<KeptView, 'holders' | 'expected'>): Kept[] {
  const kept: Kept[] = [...byKind(holders)].map(([kind, names]) => {
    const count = names.length;
    const shown = names.slice(0, NAMES_IN_LINE).join(', ');
    const more = count > NAMES_IN_LINE ? ` and ${count - NAMES_IN_LINE} more` : '';
    const message = `held by ${count === 1 ? `${kind} ` : `${count} of kind ${kind}: `}${shown}${more}`;
    return { reason: 'InUse', message, holders: { kind, count, names: names.slice(0, NAMES_MAX) } };
  });
  if (expected !== undefined) {
    const message = `a pod that names it was admitted a moment ago (request ${expected.requestId})`;
    kept.push({ reason: 'JustAdmitted', message });
  }
  return kept;
}

function byKind(holders: ReadonlyMap<string, Holder>): Map<string, string[]> {
  const kinds = new Map<string, string[]>();
  for (const { kind, ...where } of holders.values()) {
    const names = kinds.get(kind) ?? [];
    names.push(fullName(where));
    kinds.set(kind, names);
  }
  const sorted = [...kinds].sort(([a], [b]) => Number(a === 'Pod') - Number(b === 'Pod') || (a < b ? -1 : 1));
  return new Map(sorted.map(([kind, names]) => [kind, names.sort()]));
}

function dateToCome(image: CachedImage, now: number): string | undefined {
  const { expiresAt, unusedSince } = stanzaOf(image, 'usedBy') === undefined ? {} : (image.status ?? {});
  const date = image.spec.expiresAt ?? expiresAt;
  if (date === undefined || !(Date.parse(date) > now)) return undefined;
  if (image.spec.expiresAt !== undefined) return `a person's date is to come: spec.expiresAt ${date}`;
  return `unused since ${unusedSince}; expires at ${date}`;
}
