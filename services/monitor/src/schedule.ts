/** An image that may be checked. */
export interface Candidate {
  readonly uid: string;
  readonly host: string;
  /** When upstream was last asked about it (by a check or a copy), epoch ms; undefined: never. */
  readonly seenAt: number | undefined;
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
  /** Shortest time between two checks of one image. */
  readonly intervalMs: number;
  readonly budgetOf: (host: string) => Budget;
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
 * unasked first and by uid among equals, as many as are left of the host's budget; none while the host is parked. Pure: hosts in the
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

function scheduleHost(host: string, images: Candidate[], input: ScheduleInput, now: number): HostSchedule {
  const budget = input.budgetOf(host);
  const { spent, notBefore = -Infinity } = input.stateOf(host);
  const recent = spent.filter((time) => time > now - budget.windowMs).sort((a, b) => a - b);
  const left = Math.max(0, budget.checks - recent.length);

  images.sort((a, b) => (a.seenAt ?? -Infinity) - (b.seenAt ?? -Infinity) || (a.uid < b.uid ? -1 : 1));
  const dueAt = (image: Candidate): number =>
    image.seenAt === undefined ? -Infinity : image.seenAt + input.intervalMs;
  const firstNotDue = images.findIndex((image) => dueAt(image) > now);
  const due = firstNotDue === -1 ? images.length : firstNotDue;
  const parked = notBefore > now;
  const chosen = parked ? [] : images.slice(0, Math.min(due, left));

  // What is not chosen waits for the park to end, for the budget, or for its interval; what is, for its next interval.
  const next = images[chosen.length];
  const nextDueAt = Math.min(
    next === undefined ? Infinity : dueAt(next),
    chosen.length === 0 ? Infinity : now + input.intervalMs,
  );
  const spentAfter = [...recent, ...chosen.map(() => now)];
  const budgetAt =
    spentAfter.length < budget.checks ? now : (spentAfter[spentAfter.length - budget.checks] ?? now) + budget.windowMs;
  const nextAt = budget.checks <= 0 ? undefined : Math.max(now, notBefore, nextDueAt, budgetAt);
  return { host, now: chosen.map(({ uid }) => uid), due, left, nextAt };
}
