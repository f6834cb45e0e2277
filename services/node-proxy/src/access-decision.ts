import type { AccessVerdict, ErrorName } from '@kuik/contracts';
import type { Repository } from './pull-path.ts';

/** One meaning of a name, and what the broker said of it. */
export interface Judged {
  readonly repository: Repository;
  readonly verdict: AccessVerdict;
}

/** What becomes of a pull: it is served from these repositories alone, or refused. */
export type AccessDecision =
  | { readonly do: 'serve'; readonly from: Repository; readonly verdict: AccessVerdict }
  | {
      readonly do: 'refuse';
      readonly failure: Extract<ErrorName, 'grantNeeded' | 'accessDenied' | 'accessUnknown'>;
      readonly verdict: AccessVerdict;
    };

/**
 * Decides a pull by the verdicts on what its name may mean, in the name's order, which ends with the first that is allowed. Rules, in order:
 *
 * 1. The first meaning that is allowed is served, and no other.
 * 2. One that nobody could judge: served when the setting says so.
 * 3. Nobody was named: the client is asked for a grant, unless nothing uses the image anyway.
 * 4. Nobody could judge: refused for now.
 * 5. Refused.
 */
export function decideAccess(
  judged: readonly Judged[],
  { named, unknownWhenDown }: { named: boolean; unknownWhenDown: 'allow' | 'deny' },
): AccessDecision {
  const allowed = judged.find(({ verdict }) => verdict.verdict === 'allowed');
  if (allowed !== undefined) return { do: 'serve', from: allowed.repository, verdict: allowed.verdict };
  const unknown = judged.find(({ verdict }) => verdict.verdict === 'unknown');
  if (unknown !== undefined && unknownWhenDown === 'allow')
    return { do: 'serve', from: unknown.repository, verdict: unknown.verdict };
  const denied = judged.find(({ verdict }) => verdict.verdict === 'denied' && verdict.reason !== 'NotUsed');
  const told = denied ?? unknown ?? judged[0]!;
  if (!named && told.verdict.reason !== 'NotUsed')
    return { do: 'refuse', failure: 'grantNeeded', verdict: told.verdict };
  const failure = told.verdict.verdict === 'unknown' ? 'accessUnknown' : 'accessDenied';
  return { do: 'refuse', failure, verdict: told.verdict };
}
