/** What a request asks, when its head says nothing else. */
export interface PlainHead {
  readonly method: 'GET' | 'HEAD';
  readonly target: string;
  /** As it was written. */
  readonly range?: string;
  /** The client wants no other answer on this connection. */
  readonly last?: true;
}

const HEAD_MAX = 4 * 1024;
const REQUEST_LINE = /^(GET|HEAD) (\/v2\/[!-~]+) HTTP\/1\.1$/;
/** Fields that change nothing about an answer of ours, or only what is read here; each may be sent once. Values are printable ASCII. */
const FIELD =
  /^(host|accept|accept-encoding|accept-language|user-agent|x-meta-source-client|range|connection): ?([ -~]*)$/i;

/**
 * Reads one whole request head (RFC 9112 §2.1) if it is plain: a GET or HEAD under `/v2/` in origin form, `Host` exactly once, no body,
 * and no field that could ask for anything but the ordinary answer, a part of it, or the last one. Undefined for everything else, however
 * legal: a full HTTP parser has to look at it.
 */
export function readPlainHead(text: string): PlainHead | undefined {
  if (text.length > HEAD_MAX || text.indexOf('\r\n\r\n') !== text.length - 4) return undefined;
  const [requestLine = '', ...lines] = text.slice(0, -4).split('\r\n');
  const request = REQUEST_LINE.exec(requestLine);
  if (request === null) return undefined;
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || fields.has(key)) return undefined;
    fields.set(key, value!);
  }
  const connection = fields.get('connection')?.toLowerCase() ?? 'keep-alive';
  if (!fields.has('host') || (connection !== 'keep-alive' && connection !== 'close')) return undefined;
  const range = fields.get('range');
  return {
    method: request[1] as PlainHead['method'],
    target: request[2]!,
    ...(range === undefined ? {} : { range }),
    ...(connection === 'close' ? { last: true } : {}),
  };
}
