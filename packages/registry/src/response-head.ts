import { RegistryError } from './errors.ts';

/** Largest response head that is read. */
export const HEAD_MAX_BYTES = 64 * 1024;

/** Status line and header fields of an HTTP/1.1 response; names lower-cased. */
export interface ResponseHead {
  readonly status: number;
  /** One value, comma-joined when the field came several times; undefined when absent. */
  header(name: string): string | undefined;
  /** Every value of a field that must not be joined (`WWW-Authenticate`). */
  headers(name: string): readonly string[];
  /** Body bytes by Content-Length; undefined when the length is not stated (chunked, or until close). */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  /** The connection may carry another request after this body. */
  readonly keepAlive: boolean;
}

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/;

/** Index just past the blank line that ends the head, or -1 when it is not there yet. */
export function endOfHead(bytes: Buffer, from = 0): number {
  const at = bytes.indexOf('\r\n\r\n', from, 'latin1');
  return at === -1 ? -1 : at + 4;
}

/**
 * Parses one response head (through its blank line). Strict, because two parsers that disagree about where a body ends is how
 * responses are smuggled: bare CR or LF, folded lines, spaces before the colon, several or malformed Content-Length, and
 * Content-Length beside Transfer-Encoding are refused (RFC 9112 §5, §6.3). Throws RegistryError `invalid-response`.
 */
export function parseResponseHead(bytes: Buffer): ResponseHead {
  const [first = '', ...lines] = bytes.toString('latin1').split('\r\n');
  const statusLine = STATUS_LINE.exec(first);
  if (statusLine === null) throw malformed('no HTTP/1.1 status line');
  const fields = new Map<string, string[]>();
  for (const line of lines) {
    if (line === '') break;
    if (!FIELD.test(line)) throw malformed('a malformed header field');
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = trimmed(line.slice(colon + 1));
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [value]);
    else values.push(value);
  }
  const headers = (name: string): readonly string[] => fields.get(name) ?? [];
  const header = (name: string): string | undefined => fields.get(name)?.join(', ');
  const encoding = header('transfer-encoding');
  const lengths = headers('content-length');
  if (encoding !== undefined && lengths.length > 0) throw malformed('both Content-Length and Transfer-Encoding');
  if (lengths.length > 1) throw malformed('several Content-Length fields');
  const length = lengths[0];
  if (length !== undefined && !/^\d{1,15}$/.test(length)) throw malformed('a Content-Length that is no number');
  if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') throw malformed('an unknown Transfer-Encoding');
  const connection = (header('connection') ?? '').toLowerCase();
  const status = Number(statusLine[2]);
  const bodiless = status === 204 || status === 304 || status < 200;
  return {
    status,
    header,
    headers,
    contentLength: bodiless ? 0 : length === undefined ? undefined : Number(length),
    chunked: encoding !== undefined,
    keepAlive: statusLine[1] === '1' && !/\bclose\b/.test(connection) && !/\bupgrade\b/.test(connection),
  };
}

/** Without spaces and tabs around it; `trim` would take more than HTTP's white space. */
function trimmed(value: string): string {
  let from = 0;
  let to = value.length;
  while (from < to && (value[from] === ' ' || value[from] === '\t')) from += 1;
  while (to > from && (value[to - 1] === ' ' || value[to - 1] === '\t')) to -= 1;
  return value.slice(from, to);
}

function malformed(what: string): RegistryError {
  return new RegistryError('invalid-response', `the server sent ${what}`);
}
