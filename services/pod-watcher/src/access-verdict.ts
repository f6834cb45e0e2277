import { type AccessVerdict, provenUntil } from '@kuik/contracts';

/** What upstream said, and when (epoch ms): whichever came last counts. */
export interface Said {
  readonly proven?: number | undefined;
  readonly refused?: number | undefined;
}

/** All that is known of who may pull from one repository. */
export interface AccessFacts {
  /** A pod or a resource names it. */
  readonly used: boolean;
  /** The operator's own word for this namespace. */
  readonly granted: boolean;
  /** Whether the requester showed whose pods it pulls for. */
  readonly named: boolean;
  /** Read anonymously; by a credential for the whole cluster; by one of the requester's own. */
  readonly public: Said;
  readonly cluster: Said;
  readonly own: Said;
}

export interface AccessRules {
  readonly publicForMs: number;
  readonly verdictForMs: number;
  readonly graceMs: number;
  readonly unknownWhenDown: 'deny' | 'allow';
}

/** Whether upstream was asked for this decision: no; yes, with its words in the facts; or in vain. */
export type Asked = 'not yet' | 'answered' | 'down';

/** Why; reaches audit line and metric unchanged. */
export const ACCESS_REASONS = {
  notUsed: 'NotUsed',
  granted: 'GrantedByOperator',
  public: 'Public',
  cluster: 'ClusterCredential',
  proven: 'CredentialProven',
  grace: 'Grace',
  unknownAllowed: 'UnknownAllowed',
  unknown: 'UpstreamDown',
  noGrant: 'NoGrant',
  refused: 'CredentialRefused',
} as const;

/** The same of a registry as a whole. */
const HOST_REASONS = { used: 'HostUsed', notUsed: 'HostNotUsed' } as const;

/** A refusal may end with the next secret, and a time-out with the next attempt. */
const REFUSED_FOR_MS = 10_000;
const UNKNOWN_FOR_MS = 5_000;
const HOST_USED_FOR_MS = 10 * 60_000;
/** The next pod may be of it. */
const HOST_REFUSED_FOR_MS = 2_000;
/** In its grace a verdict is looked at again this often, or as often as any: upstream may be back. */
const GRACE_STEP_MS = 60_000;

/**
 * Who may pull, or that upstream has to be asked first. Rules, in order:
 *
 * 1. A repository that no pod and no resource names is nobody's.
 * 2. What the operator granted to the namespace holds without upstream.
 * 3. What upstream confirmed lately holds: to anyone, to a credential for the cluster, to one of the requester's own.
 * 4. What it refused lately holds for seconds; anything else is asked.
 * 5. Upstream down: what it confirmed last holds for the grace beyond its time, unless it was refused since.
 * 6. Upstream down and nothing known: the setting decides.
 * 7. Refused.
 */
export function accessVerdict(
  facts: AccessFacts,
  rules: AccessRules,
  now: number,
  asked: Asked,
): AccessVerdict | 'ask' {
  const { publicForMs, verdictForMs, graceMs, unknownWhenDown } = rules;
  if (!facts.used) return say('denied', ACCESS_REASONS.notUsed, now + REFUSED_FOR_MS);
  if (facts.granted) return say('allowed', ACCESS_REASONS.granted, now + verdictForMs);

  const proofs = [
    { said: facts.public, forMs: publicForMs, reason: ACCESS_REASONS.public, isPublic: true },
    { said: facts.cluster, forMs: verdictForMs, reason: ACCESS_REASONS.cluster, isPublic: false },
    ...(facts.named ? [{ said: facts.own, forMs: verdictForMs, reason: ACCESS_REASONS.proven, isPublic: false }] : []),
  ];
  for (const { said, forMs, reason, isPublic } of proofs) {
    const until = provenUntil(said, forMs);
    if (until > now) return say('allowed', reason, until, isPublic);
  }
  if (asked === 'not yet' && proofs.some(({ said }) => !isRefused(said, now))) return 'ask';
  if (asked === 'down') {
    for (const { said, forMs, isPublic } of proofs) {
      const until = provenUntil(said, forMs + graceMs);
      if (until > now)
        return say(
          'allowed',
          ACCESS_REASONS.grace,
          Math.min(until, now + Math.min(GRACE_STEP_MS, verdictForMs)),
          isPublic,
        );
    }
    if (unknownWhenDown === 'allow') return say('allowed', ACCESS_REASONS.unknownAllowed, now + UNKNOWN_FOR_MS);
    return say('unknown', ACCESS_REASONS.unknown, now + UNKNOWN_FOR_MS);
  }
  const reason = facts.named ? ACCESS_REASONS.refused : ACCESS_REASONS.noGrant;
  return say('denied', reason, now + REFUSED_FOR_MS);
}

/** Whether a registry may be asked at all: some pod or resource names something of it. */
export function hostVerdict(used: boolean, now: number): AccessVerdict {
  return used
    ? say('allowed', HOST_REASONS.used, now + HOST_USED_FOR_MS)
    : say('denied', HOST_REASONS.notUsed, now + HOST_REFUSED_FOR_MS);
}

/** Whether asking again would only repeat what was just heard. */
export function isRefused({ proven, refused }: Said, now: number): boolean {
  return refused !== undefined && refused >= (proven ?? 0) && now - refused < REFUSED_FOR_MS;
}

function say(verdict: AccessVerdict['verdict'], reason: string, until: number, isPublic = false): AccessVerdict {
  return { verdict, reason, public: isPublic, until };
}

/** Whether one of the patterns (`ghcr.io/acme/api`, or a prefix that ends in `*`) names the repository. */
export function isGranted(patterns: readonly string[] | undefined, repository: string): boolean {
  return (patterns ?? []).some((pattern) =>
    pattern.endsWith('*') ? repository.startsWith(pattern.slice(0, -1)) : repository === pattern,
  );
}
