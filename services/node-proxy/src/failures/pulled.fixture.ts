import { ERROR_CODES, failureAnswer, type FailureAnswer, type FailureCell, isList } from '@kuik/contracts';
import { digestOf } from '@kuik/image';
import { until, type MadeBlob } from '@kuik/testbed';
import { ask, type Answer, type LogLine, type RunningProxy } from '../proxy-world.fixture.ts';
import { RANGE } from './upstream-cases.fixture.ts';

/** What a pull got, and what the proxy logged of it. */
export interface Pulled {
  readonly answer: Answer;
  readonly line: LogLine;
}

/** What would be the right bytes. */
export interface Right {
  readonly manifest: string;
  readonly layer: Buffer;
  /** What refers to the manifest. */
  readonly referrer?: string;
}

/** Asks a proxy for what follows `/v2/`, by Range when the cell is of that kind. */
export async function pullOf(proxy: RunningProxy, target: string, pull?: FailureCell['pull']): Promise<Pulled> {
  const headers: Record<string, string> = pull === 'Range' ? { range: `bytes=${RANGE.first}-${RANGE.last}` } : {};
  const answer = await ask(`${proxy.url}/v2/${target}`, { headers });
  return { answer, line: await until(() => proxy.lineOf(answer), { what: `the log line of ${target}` }) };
}

/** The bytes of a layer. */
export function bytesOf(layer: MadeBlob): Buffer {
  return Buffer.concat([...layer.open()].map((chunk) => Buffer.from(chunk)));
}

/** What came, to the client and into the log. */
export function seen(cell: FailureCell, { answer, line }: Pulled, right: Right) {
  const { status, headers } = answer;
  return {
    status,
    body: bodyOf(cell, answer, right),
    code: line.code,
    warning: headers['warning'],
    // What is left of the time that upstream named.
    retryAfter: Number(headers['retry-after'] ?? 0) > 0,
    origin: line.origin === 'memory' ? 'cache' : line.origin,
    reason: line.reason,
    level: line.level,
  };
}

/** The same as the table has it. */
export function expected(cell: FailureCell, shown: ReturnType<typeof seen>): ReturnType<typeof seen> {
  const answer = failureAnswer(cell);
  if (answer.orError !== true || shown.status < 400) return told(answer, cell);
  // Wrong bytes that were noticed in time never left.
  const { failure, waits } = answer;
  const status = ERROR_CODES[failure!].http;
  return told({ status, body: 'error', failure: failure!, origin: 'none', reason: 'UpstreamFailed', waits }, cell);
}

function told(answer: FailureAnswer, cell: FailureCell): ReturnType<typeof seen> {
  return {
    status: answer.status,
    body: answer.unchecked === true ? 'wrong, for its client to find out' : answer.body,
    code: answer.failure && ERROR_CODES[answer.failure].code,
    warning: answer.stale === true ? '110 - "Response is Stale"' : undefined,
    retryAfter: cell.upstream === '429' && answer.body === 'error',
    origin: answer.origin,
    reason: answer.reason,
    level: answer.status >= 500 || answer.body === 'broken-off' ? 'warn' : 'info',
  };
}

function bodyOf(
  { pull, upstream, cache }: FailureCell,
  { status, body, complete }: Answer,
  { manifest, layer, referrer }: Right,
): string {
  if (status >= 400) return complete && body.includes('"KUIK-') ? 'error' : 'no error body';
  if (isList(pull))
    return complete && listed(pull, body) === listedIn({ pull, upstream, cache }, referrer) ? 'whole' : 'wrong';
  const isBlob = pull === 'blob' || pull === 'Range';
  const right = pull === 'Range' ? layer.subarray(RANGE.first, RANGE.last + 1) : layer;
  if (!complete) {
    const asFarAsItGoes = upstream === 'wrong bytes' || body.equals(right.subarray(0, body.length));
    return body.length < right.length && asFarAsItGoes ? 'broken-off' : 'broken off, and wrong';
  }
  if (isBlob ? body.equals(right) : digestOf(body) === manifest) return 'whole';
  return pull === 'Range' && body.length === right.length ? 'wrong, for its client to find out' : 'wrong';
}

/** The tag, or what refers to the manifest, that a list names. */
function listed(pull: FailureCell['pull'], body: Buffer): string | undefined {
  const list = JSON.parse(body.toString()) as { tags?: string[]; manifests?: { digest: string }[] };
  return pull === 'tags' ? list.tags?.find((tag) => tag === '1') : list.manifests?.map(({ digest }) => digest).join();
}

/** Nothing refers to what upstream does not have, unless the cache knows better. */
function listedIn({ pull, upstream, cache }: FailureCell, referrer: string | undefined): string | undefined {
  if (pull === 'tags') return '1';
  return upstream === '404' && cache !== 'hit' ? '' : referrer;
}
