import { type CachedImage, type CachedImageStatus, stanzaOf } from '@kuik/contracts';
import type { Holder } from './usage.ts';

/** The part of `status` that this service alone knows: who uses an image, since when nobody does, when it expires. */
export type Facts = Pick<CachedImageStatus, 'usedBy' | 'expiresAt' | 'unusedSince' | 'pullSecrets' | 'lastPulled'>;

export interface FactsInput {
  readonly holders: ReadonlyMap<string, Holder>;
  /** Last pull that a proxy told of, epoch ms. */
  readonly lastPulled?: number | undefined;
  readonly unusedMs: number;
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
 * The facts of one image. Holders: a count and the first 20 by name. Unused since: the moment it was first seen without holder,
 * kept. Expiry of the unused: a person's `spec.expiresAt`, else the computed date; none while used or retained. Pull secrets:
 * those of the holders; what was known stays when nobody holds it any more, as long as its namespace is there. A pod that was only announced changes nothing: it may
 * never be stored.
 */
export function factsOf(image: CachedImage, input: FactsInput): Facts {
  const { holders, now } = input;
  const known = stanzaOf(image, 'usedBy');
  const before: Facts = known === undefined ? {} : (image.status ?? {});
  const unusedSince = holders.size > 0 ? undefined : (before.unusedSince ?? new Date(now).toISOString());
  const expiresAt =
    unusedSince === undefined || image.spec.retain === true ? undefined : expiryOf(image, unusedSince, input.unusedMs);
  const pullSecrets = holders.size > 0 ? secretsOf(holders) : remembered(before.pullSecrets, input.namespaceGone);
  const lastPulled = pulledAt(before.lastPulled, input.lastPulled);
  const names = [...holders.keys()].sort().slice(0, SHOWN);
  return {
    usedBy: {
      forUid: image.metadata.uid,
      count: holders.size,
      pods: names.map((namespacedName) => ({ namespacedName })),
      holders: names.map((name) => ({ kind: 'Pod', name })),
    },
    ...(unusedSince === undefined ? {} : { unusedSince }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(pullSecrets === undefined ? {} : { pullSecrets }),
    ...(lastPulled === undefined ? {} : { lastPulled }),
  };
}

/** The facts that the resource shows now; what it shows of another object (made anew under its name) does not count. */
export function recordedFacts(image: CachedImage): Facts {
  if (stanzaOf(image, 'usedBy') === undefined) return {};
  const { usedBy, expiresAt, unusedSince, pullSecrets, lastPulled } = image.status ?? {};
  return {
    ...(usedBy === undefined ? {} : { usedBy }),
    ...(unusedSince === undefined ? {} : { unusedSince }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(pullSecrets === undefined ? {} : { pullSecrets }),
    ...(lastPulled === undefined ? {} : { lastPulled }),
  };
}

/** The image as it will be when these are its facts. */
export function withFacts(image: CachedImage, facts: Facts): CachedImage {
  const { usedBy, expiresAt, unusedSince, pullSecrets, lastPulled, ...rest } = image.status ?? {};
  void [usedBy, expiresAt, unusedSince, pullSecrets, lastPulled];
  return { ...image, status: { ...rest, ...facts } };
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
