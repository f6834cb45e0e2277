import {
  SLOTS,
  type Fault,
  type FaultIn,
  type KindPattern,
  type Match,
  type RequestKind,
  type RuleState,
  type Slot,
  type Stage,
} from './rule.ts';

/** What a rule can look at. */
export interface RequestFacts {
  readonly host: string;
  readonly kind: RequestKind;
  readonly method: string;
  readonly repository?: string | undefined;
  /** Tag or digest. */
  readonly reference?: string | undefined;
}

/** What is to be done to a request at one stage. */
export interface Verdict {
  readonly slots: { readonly [S in Exclude<Slot, 'headers'>]?: FaultIn<S> };
  /** Oldest rule first, so that the newest has the last word. */
  readonly headers: readonly FaultIn<'headers'>[];
  /** GETs that the rule in slot `quota` counted before this one. */
  readonly quotaSpent: number;
  /** Ids of the rules that were looked at with their slot free, and of those that apply: what their counters must add. */
  readonly seen: readonly string[];
  readonly applied: readonly string[];
}

const BODY_SLOTS: ReadonlySet<Slot> = new Set(['end', 'hold', 'pace', 'bytes', 'framing']);

/**
 * Which faults meet this request at this stage. In order:
 * 1. rules are tried newest first; host, kind, method, repository and reference must all match;
 * 2. faults of the body never match anything but GET (a HEAD must not use up a `times(1)`);
 * 3. the first rule that applies takes its slot, older rules of that slot are not even counted; header rules all apply;
 * 4. a quota meets manifests only, and HEADs are let through without being counted;
 * 5. a rule lets its first `after` matching requests pass (an older rule may then take the slot) and applies `times` times.
 */
export function decide(rules: readonly RuleState[], request: RequestFacts, stage: Stage): Verdict {
  const slots: Partial<Record<Slot, Fault>> = {};
  const headers: FaultIn<'headers'>[] = [];
  const seen: string[] = [];
  const applied: string[] = [];
  let quotaSpent = 0;
  for (const { rule, seen: before, applied: done } of rules.toReversed()) {
    const { slot, stage: ruleStage } = SLOTS[rule.fault.do];
    if (ruleStage !== stage || (slot in slots && slot !== 'headers')) continue;
    if (BODY_SLOTS.has(slot) && request.method !== 'GET') continue;
    if (rule.host !== '*' && rule.host !== request.host) continue;
    if (!matches(rule.match ?? {}, request)) continue;
    if (rule.times !== undefined && done >= rule.times) continue;
    if (slot === 'quota') {
      if (!request.kind.startsWith('manifest-')) continue;
      quotaSpent = done;
      if (request.method === 'HEAD') {
        slots[slot] = rule.fault;
        continue;
      }
    }
    seen.push(rule.id);
    if (before < (rule.after ?? 0)) continue;
    applied.push(rule.id);
    if (rule.fault.do === 'headers') headers.unshift(rule.fault);
    else slots[slot] = rule.fault;
  }
  return { slots: slots as Verdict['slots'], headers, quotaSpent, seen, applied };
}

/** Whether a request is one of those that a rule is about. */
export function matches(match: Match, request: RequestFacts): boolean {
  return (
    (match.kind === undefined || list<KindPattern>(match.kind).some((kind) => isKind(kind, request.kind))) &&
    (match.method === undefined || list(match.method).some((method) => method.toUpperCase() === request.method)) &&
    (match.repository === undefined || globMatches(match.repository, request.repository ?? '')) &&
    (match.reference === undefined || globMatches(match.reference, request.reference ?? ''))
  );
}

/** `*` is any run of characters, also none and also `/`; everything else is literal. */
export function globMatches(glob: string, text: string): boolean {
  const literal = glob.split('*').map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return new RegExp(`^${literal.join('.*')}$`, 's').test(text);
}

function isKind(pattern: KindPattern, kind: RequestKind): boolean {
  return pattern === kind || (pattern === 'manifest' && (kind === 'manifest-tag' || kind === 'manifest-digest'));
}

function list<T extends string>(value: T | readonly T[]): readonly T[] {
  return typeof value === 'string' ? [value] : value;
}
