import { DEFAULTS } from '../defaults.ts';
import { isKept, isList, type FailureCell, type PullCase, type UpstreamCase } from './cases.ts';

const { cacheTimeouts, upstreamTimeouts, tags } = DEFAULTS;

/** What a pull may have to wait for, with the settings that bound it and what they are by default, in ms. */
export const WAITS = {
  cache: {
    settings: '`cacheTimeouts.connect` + `cacheTimeouts.headers`',
    ms: cacheTimeouts.connectMs + cacheTimeouts.headersMs,
  },
  upstream: {
    settings: '`upstreamTimeouts.connect` + `upstreamTimeouts.headers`, or those of `registries.<host>.timeouts`',
    ms: upstreamTimeouts.connectMs + upstreamTimeouts.headersMs,
  },
  silence: { settings: '`upstreamTimeouts.idle`', ms: upstreamTimeouts.idleMs },
  check: { settings: '`tags.patience`', ms: tags.patienceMs },
  tag: { settings: '`proxy.patience`', ms: DEFAULTS.proxy.patienceMs },
  'back-off': { settings: 'between three attempts to go on with a body', ms: 600 },
} as const;
export type Wait = keyof typeof WAITS;

/** Whether it is late with any answer, or has none. */
export function isLate(upstream: UpstreamCase): boolean {
  return upstream === 'slow' || upstream === 'black-holed' || upstream === 'lost packets';
}

/** What a pull, answered by `origin`, waits for at most: each part that does not answer once, one that is slow once a request. */
export function waitsOf(cell: FailureCell, origin: string): readonly Wait[] {
  const upstream = ofUpstream(cell);
  if (cell.cache !== 'black-holed') return upstream;
  return [...upstream, ...Array.from({ length: timesOfCache(cell, origin, upstream) }, () => 'cache' as const)];
}

/** Nobody waits for it twice, with two exceptions; its breaker ends those, too. */
function timesOfCache({ upstream, pull }: FailureCell, origin: string, waits: readonly Wait[]): number {
  if (isList(pull)) return isAskedForList(upstream, pull, origin) ? 1 : 0;
  // Before upstream, and again when that falls silent.
  if (waits.includes('silence')) return 2;
  // A body that broke is looked for there each time.
  if (waits.includes('back-off')) return 3;
  // Its own tag is asked for while upstream thinks, the bytes when that has answered.
  return upstream === 'slow' && pull === 'unknown tag' ? 2 : 1;
}

/** When upstream has none to give, unless it has said its last word of it. */
function isAskedForList(upstream: UpstreamCase, pull: PullCase, origin: string): boolean {
  if (pull === 'tags') return origin !== 'upstream' && upstream !== 'credential refused';
  return origin !== 'upstream' || upstream === '404';
}

function ofUpstream({ upstream, cache, pull }: FailureCell): readonly Wait[] {
  if (isList(pull)) return !isLate(upstream) ? [] : pull === 'tags' ? ['upstream'] : ['tag'];
  if (upstream === 'stalls mid-blob')
    return cache !== 'hit' && (pull === 'blob' || pull === 'Range') ? ['silence', 'back-off'] : [];
  if (upstream === 'dies mid-blob') return cache !== 'hit' && (pull === 'blob' || pull === 'Range') ? ['back-off'] : [];
  if (!isLate(upstream)) return [];
  const checked = pull === 'checked tag' && isKept(cache);
  if (cache === 'hit') return checked ? ['check'] : pull === 'unknown tag' ? ['tag'] : [];
  if (checked) return ['check', 'upstream'];
  // By HEAD what the tag names, by GET what that is.
  const twice = pull === 'unknown tag' || (!isKept(cache) && (pull === 'tag' || pull === 'checked tag'));
  return upstream === 'slow' && twice ? ['upstream', 'upstream'] : ['upstream'];
}
