import { ERROR_CODES } from '../error-codes.ts';
import { formatDuration } from '../duration.ts';
import { CACHE_CASES, PULL_CASES, UPSTREAM_CASES, type CacheCase, type PullCase, type UpstreamCase } from './cases.ts';
import { table, type Row } from '../markdown-table.ts';
import { failureAnswer, type FailureAnswer } from './failure-answer.ts';
import { WAITS } from './waits.ts';

/** The generated part of docs/failures.md: the axes, and one table for each kind of pull. */
export function failureTables(): string {
  const axis = (what: string, cases: readonly (readonly [string, string])[]): string =>
    table(
      [what, 'what it does'],
      cases.map(([name, does]) => [`**${name}**`, does]),
    );
  return [
    '',
    '### Upstream',
    axis('upstream', UPSTREAM_CASES),
    '### The cache registry',
    axis('cache', CACHE_CASES),
    '### Waits',
    'The settings behind each `≤`, and what they come to by default.',
    table(
      ['wait', 'settings', 'by default'],
      Object.entries(WAITS).map(([wait, { settings, ms }]) => [wait, settings, formatDuration(ms)]),
    ),
    ...PULL_CASES.flatMap(([pull, what]) => [`### Pulls: ${pull}`, `${sentence(what)}.`, table(...ofPull(pull))]),
    '',
  ].join('\n\n');
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`;

/** Upstreams down, caches across; cases with the same answers share a line and a column. */
function ofPull(pull: PullCase): [head: Row, rows: Row[]] {
  const text = (cache: CacheCase, upstream: UpstreamCase): string => wordOf(failureAnswer({ pull, cache, upstream }));
  const caches = merged(
    CACHE_CASES.map(([cache]) => cache),
    (cache) => UPSTREAM_CASES.map(([upstream]) => text(cache, upstream)),
  );
  const upstreams = merged(
    UPSTREAM_CASES.map(([upstream]) => upstream),
    (upstream) => caches.map(({ answers: _answers, names: [cache] }) => text(cache!, upstream)),
  );
  return [
    ['upstream \\ cache', ...caches.map(({ names }) => names.join(', '))],
    upstreams.map(({ names, answers }) => [`**${names.join(', ')}**`, ...answers]),
  ];
}

/** Names with equal answers together, in the order of the first of each. */
function merged<N extends string>(
  names: readonly N[],
  answersOf: (name: N) => readonly string[],
): { names: N[]; answers: readonly string[] }[] {
  const groups = new Map<string, { names: N[]; answers: readonly string[] }>();
  for (const name of names) {
    const answers = answersOf(name);
    const key = answers.join('\n');
    const group = groups.get(key) ?? { names: [], answers };
    group.names.push(name);
    groups.set(key, group);
  }
  return [...groups.values()];
}

/** `504 KUIK-REG-504, 16 s`; `200 from the cache, stale: CheckFailed, 2 s`. */
function wordOf(answer: FailureAnswer): string {
  const { status, body, failure, origin, reason, stale, unchecked, orError, waits } = answer;
  const code = failure === undefined ? '' : `\`${ERROR_CODES[failure].code}\``;
  const waitMs = waits.reduce((sum, wait) => sum + WAITS[wait].ms, 0);
  const bound = waitMs === 0 ? '' : `; ≤ ${formatDuration(waitMs)}`;
  if (body === 'error') return `${status} ${code}${bound}`;
  const from = `${status} from ${origin} (\`${reason}\`)`;
  if (body === 'broken-off') {
    const early = orError === true ? `, or ${ERROR_CODES[failure!].http} before the first byte` : '';
    return `${from}, broken off: ${code}${early}${bound}`;
  }
  return `${from}${stale === true ? ', **stale**' : ''}${unchecked === true ? ', not checked' : ''}${bound}`;
}
