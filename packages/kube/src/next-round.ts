import type { KubeErrorCode, ReflectorCause } from './port.ts';

/** How one round (a list, a watch, or both) of a reflector ended. */
export interface RoundEnd {
  phase: 'list' | 'watch';
  /** 'closed': the server ended the watch; 'resync': we did, because a full list is due; else why it failed. */
  end: 'closed' | 'resync' | KubeErrorCode;
  /** How long the watch was open. */
  lastedMs: number;
  /** Whether the watch brought us forward: an event, a bookmark. */
  progressed: boolean;
  /** Failures in a row before this round. */
  failures: number;
}

export interface NextRound {
  why: ReflectorCause;
  list: boolean;
  /** In a row, this one included; 0: go on at once, else wait as long as this many call for. */
  failures: number;
}

/** A watch of this length was a good one. */
const STABLE_MS = 5_000;
/** A watch that keeps failing may be failing because of where it starts. */
const LIST_EVERY = 5;
/** The server is away or busy: our version is still good. */
const RESUME = new Set<RoundEnd['end']>([
  'closed',
  'unavailable',
  'too-many-requests',
  'unauthorized',
  'forbidden',
  'conflict',
]);

/**
 * What a reflector does after a round.
 * 1. A due full list follows at once.
 * 2. A round that lasted or brought news starts the count of failures anew; even then there is a short wait, so that a server that
 *    accepts and closes (or sends one event and closes) is never hammered.
 * 3. A failed list is listed again.
 * 4. The watch is resumed where it was when the server was away; it is listed anew when the version is gone, when the watch fell
 *    silent (after a restored etcd the server holds back everything older than our version: that too looks like silence), when the
 *    stream made no sense, and at every fifth failure in a row.
 */
export function nextRound({ phase, end, lastedMs, progressed, failures }: RoundEnd): NextRound {
  if (end === 'resync') return { why: 'resync', list: true, failures: 0 };
  const good = phase === 'watch' && end !== 'gone' && (lastedMs >= STABLE_MS || progressed);
  const count = good ? 1 : failures + 1;
  const list = phase === 'list' || !RESUME.has(end) || count % LIST_EVERY === 0;
  return { why: causeOf(end), list, failures: count };
}

function causeOf(end: RoundEnd['end']): ReflectorCause {
  if (end === 'closed') return 'closed';
  if (end === 'gone') return 'gone';
  return end === 'timeout' ? 'idle' : 'error';
}
