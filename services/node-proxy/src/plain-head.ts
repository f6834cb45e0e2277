/** What a request asks, when its head says nothing else. */
export interface PlainHead {
  readonly method: 'GET' | 'HEAD';
  readonly target: string;
}

const HEAD_MAX = 4 * 1024;
const REQUEST_LINE = /^(GET|HEAD) (\/v2\/[!-~]+) HTTP\/1\.1$/;
/** Fields that change nothing about an answer of ours; each may be sent once. Values are printable ASCII. */
const FIELD = /^(host|accept|accept-encoding|accept-language|user-agent|x-meta-source-client): ?([ -~]*)$/i;

/**
 * Reads one whole request head (RFC 9112 §2.1) if it is plain: a GET or HEAD under `/v2/` in origin form, `Host` exactly once, no body,
 * and no field that could ask for anything but the ordinary answer. Undefined for everything else, however legal: a full HTTP parser
 * has to look at it.
 */
export function readPlainHead(text: string): PlainHead | undefined {
  if (text.length > HEAD_MAX || text.indexOf('\r\n\r\n') !== text.length - 4) return undefined;
  const [requestLine = '', ...fields] = text.slice(0, -4).split('\r\n');
  const request = REQUEST_LINE.exec(requestLine);
  if (request === null) return undefined;
  const names = fields.map((field) => FIELD.exec(field)?.[1]?.toLowerCase());
  if (names.includes(undefined) || new Set(names).size !== names.length || !names.includes('host')) return undefined;
  return { method: request[1] as PlainHead['method'], target: request[2]! };
}
