/** An image that may be checked. */
export interface Candidate {
  readonly uid: string;
  readonly host: string;
  /** When upstream was last asked about it (by a check or a copy), epoch ms; undefined: never. */
  readonly seenAt: number | undefined;
  /** Whoever pays for its check may not ask before this time. */
  readonly notBefore?: number | undefined;
  /** How much more than others it is worth a look: its waiting counts so many times. Default 1. */
  readonly weight?: number;
}

/** At most `checks` in any `windowMs`. */
export interface Budget {
  readonly checks: number;
  readonly windowMs: number;
}

/** What a host's past leaves of its budget. */
export interface HostState {
  /** Times of the checks of the last window, in any order; older ones do not count. */
  readonly spent: readonly number[];
  /** Nobody may ask it before this time. */
  readonly notBefore?: number | undefined;
}

export interface ScheduleInput {
  readonly images: Iterable<Candidate>;
  /** A host's budget, and the shortest time between two checks of one image. */
  readonly policyOf: (host: string) => Budget & { readonly intervalMs: number };
  readonly stateOf: (host: string) => HostState;
}

export interface HostSchedule {
  readonly host: string;
  /** What may be checked now, in this order; never more than the budget leaves. */
  readonly now: readonly string[];
  /** How many are due, within the budget or not. */
  readonly due: number;
  /** Checks left in the window. */
  readonly left: number;
  /** When this host is worth another look; undefined: never, as things are. */
  readonly nextAt: number | undefined;
}

/**
 * Which images may be checked at `now` (epoch ms): per host those that are due (never asked about, or the interval ago), the longest
 * unasked first (its time counts by its weight; of those never asked about the heaviest) and by uid among equals, as many as are left of the host's budget; none while the host, or who pays, is to be left alone. Pure: hosts in the
 * order of their names.
 */
export function schedule(input: ScheduleInput, now: number): HostSchedule[] {
  const byHost = new Map<string, Candidate[]>();
  for (const image of input.images) {
    const images = byHost.get(image.host);
    if (images === undefined) byHost.set(image.host, [image]);
    else images.push(image);
  }
  return [...byHost.keys()].sort().map((host) => scheduleHost(host, byHost.get(host)!, input, now));
}

function scheduleHost(host: string, images: readonly Candidate[], input: ScheduleInput, now: number): HostSchedule {
  const { intervalMs, ...budget } = input.policyOf(host);
  const { spent, notBefore = -Infinity } = input.stateOf(host);
  const recent = spent.filter((time) => time > now - budget.windowMs).sort((a, b) => a - b);
  const left = Math.max(0, budget.checks - recent.length);

  const dueAt = ({ seenAt }: Candidate): number => (seenAt === undefined ? -Infinity : seenAt + intervalMs);
  const due = images
    .filter((image) => dueAt(image) <= now)
    .sort((a, b) => urgencyOf(b, now) - urgencyOf(a, now) || tie(a, b));
  const parkedUntil = (image: Candidate): number => image.notBefore ?? -Infinity;
  const free = due.filter((image) => parkedUntil(image) <= now);
  const chosen = notBefore > now ? [] : free.slice(0, left);

  // What is not chosen waits for a park to end, for the budget, or for its interval; what is, for its next interval.
  const nextDueAt = Math.min(
    free.length > chosen.length ? now : Infinity,
    firstOf(due, (image) => parkedUntil(image) > now, parkedUntil),
    chosen.length === 0 ? Infinity : now + intervalMs,
    firstOf(images, (image) => dueAt(image) > now, dueAt),
  );
  const spentAfter = [...recent, ...chosen.map(() => now)];
  const budgetAt =
    spentAfter.length < budget.checks ? now : (spentAfter[spentAfter.length - budget.checks] ?? now) + budget.windowMs;
  const nextAt = budget.checks <= 0 ? undefined : Math.max(now, notBefore, nextDueAt, budgetAt);
  return { host, now: chosen.map(({ uid }) => uid), due: due.length, left, nextAt };
}

/** Time without a look, as often as its weight says; what was never looked at comes before everything else. */
function urgencyOf({ seenAt, weight = 1 }: Candidate, now: number): number {
  return seenAt === undefined ? Number.MAX_SAFE_INTEGER : (now - seenAt) * weight;
}

function tie(a: Candidate, b: Candidate): number {
  if (a.seenAt === undefined && b.seenAt === undefined && a.weight !== b.weight)
    return (b.weight ?? 1) - (a.weight ?? 1);
  return a.uid < b.uid ? -1 : 1;
}

/** The earliest of those that count; Infinity when none does. */
function firstOf(
  images: readonly Candidate[],
  counts: (image: Candidate) => boolean,
  at: (image: Candidate) => number,
): number {
  let first = Infinity;
  for (const image of images) if (counts(image)) first = Math.min(first, at(image));
  return first;
}
