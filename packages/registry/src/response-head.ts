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

/** Status line, fields, blank line. */
const HEAD =
  /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?((?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*)\r\n\r\n$/;

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
  const parts = HEAD.exec(bytes.toString('latin1'));
  if (parts === null) throw malformed('no HTTP/1.1 status line, or a malformed header field');
  return new ParsedHead(Number(parts[2]), parts[1] === '1', parts[3]!);
}

class ParsedHead implements ResponseHead {
  readonly status: number;
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly keepAlive: boolean;
  /** Each field with its line break before it; as it came, and for looking names up. */
  readonly #fields: string;
  readonly #lower: string;

  constructor(status: number, kept: boolean, fields: string) {
    this.status = status;
    this.#fields = fields;
    this.#lower = fields.toLowerCase();
    const encoding = this.header('transfer-encoding');
    const lengths = this.headers('content-length');
    if (encoding !== undefined && lengths.length > 0) throw malformed('both Content-Length and Transfer-Encoding');
    if (lengths.length > 1) throw malformed('several Content-Length fields');
    const length = lengths[0];
    if (length !== undefined && !/^\d{1,15}$/.test(length)) throw malformed('a Content-Length that is no number');
    if (encoding !== undefined && encoding.toLowerCase() !== 'chunked') throw malformed('an unknown Transfer-Encoding');
    const connection = (this.header('connection') ?? '').toLowerCase();
    const bodiless = status === 204 || status === 304 || status < 200;
    this.contentLength = bodiless ? 0 : length === undefined ? undefined : Number(length);
    this.chunked = encoding !== undefined;
    this.keepAlive = kept && !/\bclose\b/.test(connection) && !/\bupgrade\b/.test(connection);
  }

  headers(name: string): readonly string[] {
    const values: string[] = [];
    const wanted = `\r\n${name}:`;
    for (let at = this.#lower.indexOf(wanted); at !== -1; at = this.#lower.indexOf(wanted, at + 2)) {
      const from = at + wanted.length;
      const end = this.#fields.indexOf('\r\n', from);
      values.push(trimmed(this.#fields.slice(from, end === -1 ? undefined : end)));
    }
    return values;
  }

  header(name: string): string | undefined {
    const values = this.headers(name);
    return values.length > 1 ? values.join(', ') : values[0];
  }
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
