import type { ImageState } from '@kuik/contracts';
import type { Repository } from './pull-path.ts';

/** Where an answer may come from. `alternative` (an equivalent registry) is reserved: no rule gives one yet. */
export type Origin = 'cache' | 'upstream' | 'alternative';

/** Why a step is in the plan; reaches log and metric unchanged. */
export const REASONS = {
  byDigest: 'ByDigest',
  pinned: 'Pinned',
  cachedTag: 'CachedTag',
  cacheLost: 'CacheLost',
  condemned: 'Condemned',
  stateUnconfirmed: 'StateUnconfirmed',
  stateUnavailable: 'StateUnavailable',
  tagChecked: 'TagChecked',
  checkFailed: 'CheckFailed',
  notKept: 'NotKept',
  upstreamSilent: 'UpstreamSilent',
} as const;
export type Reason = (typeof REASONS)[keyof typeof REASONS];

/** One place to ask. */
export interface Step {
  readonly from: Origin;
  readonly repository: Repository;
  /** A tag or a digest. */
  readonly reference: string;
  readonly reason: Reason;
  /** Asked only in this case; see `mayRun`. */
  readonly when?: 'cacheDown' | 'upstreamSilent' | 'noSuchImage' | 'checkFailed';
  /** What it gives may be outdated: it is marked so for the client. */
  readonly stale?: true;
  /** Upstream is asked whether the tag still names what is kept; what it said is believed for `everyMs`. */
  readonly check?: { readonly everyMs: number; readonly kept: string };
  /** Asked although the cache is being spared, and only because it was. */
  readonly lastResort?: true;
}

/** What is known of one tag. */
export interface Knowledge {
  readonly state?: ImageState;
  /** When this was last known to be true (monotonic ms); undefined: nobody could tell. */
  readonly confirmedAtMs?: number;
  /** What upstream said the tag names, a moment ago. */
  readonly verified?: string;
}

export interface RouteRequest {
  /** What the name may mean, literal form first. */
  readonly repositories: readonly Repository[];
  readonly reference: { readonly tag: string } | { readonly digest: string };
}

/** How long after losing NATS what was known still counts as true: a reconnect takes less. */
export const CONFIRMED_FOR_MS = 5000;

/**
 * The order in which places are asked for an image, first answer wins. Rules, in order:
 *
 * 1. A digest needs no state: the cache under each name, then upstream under each name.
 * 2. Of several meanings of a name, the first one that kuik keeps is meant.
 * 3. A pin is served, and nothing else, whatever the tag says.
 * 4. A condemned tag is on its way out: upstream first, then the cache's own tag.
 * 5. A kept tag that is checked at its pull is what upstream said a moment ago, else what it says now; when it cannot say, what is kept, marked stale.
 * 6. Any other kept tag whose state is confirmed is its cached digest; when the cache lost that, upstream by digest, then by tag.
 * 7. A kept tag whose state is not confirmed any more is what the cache's own tag says now; what is known counts when the cache is away.
 * 8. Anything else is upstream's; when upstream cannot answer, the cache's own tag, marked stale.
 * 9. What was not asked of the cache because it failed a moment ago is asked all the same when nobody else has an answer: it may be back.
 */
export function route(request: RouteRequest, knowledge: readonly Knowledge[], now: number): readonly Step[] {
  const steps = plan(request, knowledge, now);
  return [
    ...steps,
    ...steps.filter(({ from }) => from === 'cache').map((again) => ({ ...again, lastResort: true as const })),
  ];
}

/** Rules 1 to 8. */
function plan(request: RouteRequest, knowledge: readonly Knowledge[], now: number): readonly Step[] {
  const { repositories, reference } = request;
  if ('digest' in reference) {
    const { digest } = reference;
    return [
      ...repositories.map((repository) => step('cache', repository, digest, REASONS.byDigest)),
      ...literalFirst(repositories.map((repository) => step('upstream', repository, digest, REASONS.byDigest))),
    ];
  }

  const { tag } = reference;
  const kept = knowledge.findIndex(({ state }) => state !== undefined);
  const repository = repositories[kept];
  const known = knowledge[kept];
  if (repository === undefined || known?.state === undefined) {
    const told = knowledge.some(({ confirmedAtMs }) => isConfirmed(confirmedAtMs, now));
    const reason = told ? REASONS.notKept : REASONS.stateUnavailable;
    return [
      ...literalFirst(repositories.map((candidate) => step('upstream', candidate, tag, reason))),
      ...repositories.map((candidate) => ownTagStale(candidate, tag)),
    ];
  }

  const { pin, digest, condemned = false } = known.state;
  if (pin !== undefined) {
    return [step('cache', repository, pin, REASONS.pinned), step('upstream', repository, pin, REASONS.pinned)];
  }
  if (condemned) {
    return [step('upstream', repository, tag, REASONS.condemned), ownTagStale(repository, tag)];
  }
  if (digest === undefined) {
    return [step('upstream', repository, tag, REASONS.notKept), ownTagStale(repository, tag)];
  }
  const confirmed = isConfirmed(known.confirmedAtMs, now);
  const { check } = known.state;
  if (check !== undefined) {
    const { verified } = known;
    const asked =
      verified === undefined
        ? [{ ...step('upstream', repository, tag, REASONS.tagChecked), check: { ...check, kept: digest } }]
        : (['cache', 'upstream'] as const).map((from) => step(from, repository, verified, REASONS.tagChecked));
    const kept = [
      step('cache', repository, digest, REASONS.checkFailed),
      step('upstream', repository, digest, REASONS.checkFailed),
    ];
    const ownTag = step('cache', repository, tag, REASONS.checkFailed);
    const fallbacks = confirmed ? [...kept, ownTag] : [ownTag, ...kept];
    return [...asked, ...fallbacks.map((one) => ({ ...one, when: 'checkFailed', stale: true }) as const)];
  }
  if (confirmed) {
    return [
      step('cache', repository, digest, REASONS.cachedTag),
      step('upstream', repository, digest, REASONS.cacheLost),
      step('upstream', repository, tag, REASONS.cacheLost),
      ownTagStale(repository, tag),
    ];
  }
  return [
    step('cache', repository, tag, REASONS.stateUnconfirmed),
    { ...step('cache', repository, digest, REASONS.stateUnconfirmed), when: 'cacheDown' },
    { ...step('upstream', repository, digest, REASONS.stateUnconfirmed), when: 'cacheDown' },
    step('upstream', repository, tag, REASONS.cacheLost),
  ];
}

/** What the steps so far have shown. */
export interface Seen {
  /** The cache could not be asked. */
  readonly cacheDown: boolean;
  /** It was not even tried, because it had failed a moment ago. */
  readonly cacheSpared: boolean;
  /** Upstream could not answer (see `isSilence`). */
  readonly upstreamSilent: boolean;
  /** Upstream answered, or its name told, that there is no such image. */
  readonly noSuchImage: boolean;
  /** Upstream did not say what a tag names, for a reason for which what is kept may be served. */
  readonly checkFailed: boolean;
  /** Places (see `placeOf`) that did not answer in time. */
  readonly hung: readonly string[];
}

/** Before the first step. */
export const NOTHING_SEEN: Seen = {
  cacheDown: false,
  cacheSpared: false,
  upstreamSilent: false,
  noSuchImage: false,
  checkFailed: false,
  hung: [],
};

/** Whom a step asks: our cache, or a registry by its host. */
export function placeOf({ from, repository }: Pick<Step, 'from' | 'repository'>): string {
  return from === 'upstream' ? `upstream ${repository.host}` : from;
}

/** Whether a step's condition holds. Who did not answer in time is not waited for again in the same pull. `noSuchImage` is asked of every upstream so far: a silent one may well be the one that is meant. */
export function mayRun(step: Step, seen: Seen): boolean {
  const { when, lastResort } = step;
  if (lastResort === true && !seen.cacheSpared) return false;
  if (seen.hung.includes(placeOf(step))) return false;
  switch (when) {
    case undefined:
      break;
    case 'cacheDown':
      return seen.cacheDown;
    case 'upstreamSilent':
      return seen.upstreamSilent;
    case 'noSuchImage':
      return seen.noSuchImage;
    case 'checkFailed':
      return seen.checkFailed;
  }
  return true;
}

function isConfirmed(confirmedAtMs: number | undefined, now: number): boolean {
  return confirmedAtMs !== undefined && now - confirmedAtMs <= CONFIRMED_FOR_MS;
}

function ownTagStale(repository: Repository, tag: string): Step {
  return { ...step('cache', repository, tag, REASONS.upstreamSilent), when: 'upstreamSilent', stale: true };
}

/** Other meanings of a name count only when the ones before are known not to exist. */
function literalFirst(steps: readonly Step[]): Step[] {
  return steps.map((later, index) => (index === 0 ? later : { ...later, when: 'noSuchImage' }));
}

function step(from: Origin, repository: Repository, reference: string, reason: Reason): Step {
  return { from, repository, reference, reason };
}
