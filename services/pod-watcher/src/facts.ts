import { type CachedImage, type CachedImageStatus, stanzaOf, type UsedBy } from '@kuik/contracts';
import { fullName } from './holder-view.ts';
import type { HolderKnowledge } from './knowledge.ts';
import type { Holder } from './usage.ts';

const POD = 'Pod';

/** The part of `status` that this service alone knows: who uses an image, since when nobody does, when it expires. */
export type Facts = Pick<
  CachedImageStatus,
  'usedBy' | 'expiresAt' | 'unusedSince' | 'pullSecrets' | 'lastPulled' | 'check'
>;

export interface FactsInput {
  readonly holders: ReadonlyMap<string, Holder>;
  readonly knowledge: HolderKnowledge;
  /** Last pull that a proxy told of, epoch ms. */
  readonly lastPulled?: number | undefined;
  readonly unusedMs: number;
  /** When upstream is asked about the tag; see `checkOf`. */
  readonly check?: CachedImageStatus['check'];
  /** Whether a namespace does not exist any more. */
  readonly namespaceGone?: (namespace: string) => boolean;
  /** Epoch ms. */
  readonly now: number;
}

const SHOWN = 20;
const SECRETS_MAX = 64;
/** Pull times reach the resource at most this often. */
const PULLED_EVERY_MS = 24 * 3_600_000;

/**
 * The facts of one image. Holders: a count, the first 20 by name, workloads before pods, and of the pods the first 20 as kuik v1 had them.
 * Unused since: the moment it was first seen without holder, kept. Expiry of the unused: a person's `spec.expiresAt`, else the computed date;
 * none while used or retained, and the time unused begins anew when it is retained no longer: whoever takes `retain` off, or
 * a date that kept it longer, finds the image there. Pull secrets: those of the holders; what was known stays when nobody holds it any more, as long as its
 * namespace is there. A pod that was
 * only announced changes nothing: it may never be stored.
 *
 * Nobody is said to hold it only when everybody could have been seen: while lists are on their way what is recorded stays (only a holder where
 * none was recorded is news); of kinds that may not be read the names are recorded, and the time unused does not begin.
 */
export function factsOf(image: CachedImage, input: FactsInput): Facts {
  const { holders, knowledge, now } = input;
  const recorded = stanzaOf(image, 'usedBy');
  const before: Facts = recorded === undefined ? {} : (image.status ?? {});
  const lastPulled = pulledAt(before.lastPulled, input.lastPulled);
  const pulled = {
    ...(lastPulled === undefined ? {} : { lastPulled }),
    ...(input.check === undefined ? {} : { check: input.check }),
  };
  if (knowledge.state === 'pending' && (holders.size === 0 || (recorded?.count ?? 0) > 0)) {
    if (recorded === undefined) return {};
    const { check: _before, ...kept } = recordedFacts(image);
    return { ...kept, ...pulled };
  }
  const unknown = holders.size === 0 && knowledge.state === 'partial';
  const begins = unknown ? undefined : beginOf(image, now);
  const retained = image.spec.retain === true;
  // Whatever is unused has a date, unless it was retained.
  const goesOn = retained || (before.expiresAt !== undefined && !datePutOff(image, before, input));
  const unusedSince = holders.size > 0 ? undefined : ((goesOn ? before.unusedSince : undefined) ?? begins);
  const expiresAt = unusedSince === undefined || retained ? undefined : expiryOf(image, unusedSince, input.unusedMs);
  const pullSecrets = holders.size > 0 ? secretsOf(holders) : remembered(before.pullSecrets, input.namespaceGone);
  return {
    usedBy: {
      forUid: image.metadata.uid,
      count: holders.size,
      ...shownOf(holders),
      ...(unknown ? { unread: [...knowledge.unread] } : {}),
    },
    ...(unusedSince === undefined ? {} : { unusedSince }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(pullSecrets === undefined ? {} : { pullSecrets }),
    ...pulled,
  };
}

function shownOf(holders: ReadonlyMap<string, Holder>): Pick<UsedBy, 'pods' | 'holders'> {
  const named = [...holders.values()].map(({ kind, ...where }) => ({ kind, name: fullName(where) })).sort(byName);
  const pods = named.filter(({ kind }) => kind === POD);
  const others = named.filter(({ kind }) => kind !== POD);
  return {
    pods: pods.slice(0, SHOWN).map(({ name }) => ({ namespacedName: name })),
    holders: [...others, ...pods].slice(0, SHOWN),
  };
}

interface Named {
  readonly kind: string;
  readonly name: string;
}

function byName(a: Named, b: Named): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.kind < b.kind ? -1 : Number(a.kind > b.kind);
}

/** The facts that the resource shows now; what it shows of another object (made anew under its name) does not count. */
export function recordedFacts(image: CachedImage): Facts {
  if (stanzaOf(image, 'usedBy') === undefined) return {};
  const { usedBy, expiresAt, unusedSince, pullSecrets, lastPulled, check } = image.status ?? {};
  return {
    ...(usedBy === undefined ? {} : { usedBy }),
    ...(unusedSince === undefined ? {} : { unusedSince }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(pullSecrets === undefined ? {} : { pullSecrets }),
    ...(lastPulled === undefined ? {} : { lastPulled }),
    ...(check === undefined ? {} : { check }),
  };
}

/** The image as it will be when these are its facts. */
export function withFacts(image: CachedImage, facts: Facts): CachedImage {
  const { usedBy, expiresAt, unusedSince, pullSecrets, lastPulled, check, ...rest } = image.status ?? {};
  void [usedBy, expiresAt, unusedSince, pullSecrets, lastPulled, check];
  return { ...image, status: { ...rest, ...facts } };
}

/**
 * When the time unused begins: now, but not before anything that the resource tells of. A clock that is behind when the last holder goes
 * would otherwise take from the image's time what it lacks, and nobody would see it once the clock is right.
 */
function beginOf(image: CachedImage, now: number): string {
  const told = [
    image.metadata.creationTimestamp,
    image.status?.lastPulled,
    stanzaOf(image, 'cache')?.copiedAt,
    stanzaOf(image, 'upstream')?.lastSeen,
  ]
    .map((time) => Date.parse(time ?? ''))
    .filter(Number.isFinite);
  return new Date(Math.max(now, ...told)).toISOString();
}

/**
 * A later date than the time unused would give is gone, and by that time the image would have expired long ago: a person's that was taken off, or what a longer time unused gave.
 */
function datePutOff({ spec }: CachedImage, before: Facts, { unusedMs, now }: FactsInput): boolean {
  if (spec.expiresAt !== undefined || before.unusedSince === undefined) return false;
  const computed = Date.parse(before.unusedSince) + unusedMs;
  return computed <= now && Date.parse(before.expiresAt ?? '') > computed;
}

function expiryOf(image: CachedImage, unusedSince: string, unusedMs: number): string {
  return image.spec.expiresAt ?? new Date(Date.parse(unusedSince) + unusedMs).toISOString();
}

function remembered(secrets: Facts['pullSecrets'], gone: FactsInput['namespaceGone']): Facts['pullSecrets'] {
  const kept = secrets?.filter(({ namespace }) => gone?.(namespace) !== true) ?? [];
  return kept.length === 0 ? undefined : kept;
}

function secretsOf(holders: ReadonlyMap<string, Holder>): { namespace: string; name: string }[] {
  const secrets = new Map<string, { namespace: string; name: string }>();
  for (const { namespace, pullSecrets } of holders.values()) {
    if (namespace === '') continue;
    for (const name of pullSecrets) secrets.set(`${namespace}/${name}`, { namespace, name });
  }
  return [...secrets.keys()]
    .sort()
    .slice(0, SECRETS_MAX)
    .map((key) => secrets.get(key)!);
}

function pulledAt(recorded: string | undefined, told: number | undefined): string | undefined {
  if (told === undefined) return recorded;
  if (recorded !== undefined && told - Date.parse(recorded) < PULLED_EVERY_MS) return recorded;
  return new Date(told).toISOString();
}
