const HIDDEN = '[redacted]';

/** Names whose values are secrets. `pullSecrets` and `secretName` are references, not secrets, and stay readable. */
const SECRET_NAME =
  /^(auth|.*(password|passwd|passphrase|secret|token|authorization|cookie|apikey|accesskey|privatekey|secretkey|nkey|nkeyseed|credential|credentials|dockerconfigjson|keypem))$/;

/** Verdicts on names seen before: log lines have few names, and have them often. */
const KNOWN_NAMES = new Map<string, boolean>();
const KNOWN_NAMES_MAX = 1_000;

/** Whether a field of this name holds a secret. */
export function isSecretName(name: string): boolean {
  const known = KNOWN_NAMES.get(name);
  if (known !== undefined) return known;
  const secret = SECRET_NAME.test(name.replace(/[-_.\s]/g, '').toLowerCase());
  if (KNOWN_NAMES.size < KNOWN_NAMES_MAX) KNOWN_NAMES.set(name, secret);
  return secret;
}

/** Each takes time in proportion to the text: image names in log lines are as long as whoever writes pods likes. */
const PATTERNS: readonly [RegExp, string | ((match: string, ...groups: string[]) => string)][] = [
  // Authorization: <scheme> <credentials>, in any spelling of a header or JSON field.
  [/\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer)\s+)?[^\s"',}]+/gi, `$1${HIDDEN}`],
  [/\bBearer\s+([\w.~+/-]+=*)(?!\s*=)/gi, (match, token) => (looksRandom(token) ? `Bearer ${HIDDEN}` : match)],
  [
    /\bBasic\s+([A-Za-z0-9+/_-]+=*)/gi,
    (match, token) => (Buffer.from(token, 'base64').includes(':') ? `Basic ${HIDDEN}` : match),
  ],
  // user:password@ in a URL; a password may hold an unescaped @.
  [/:\/\/[^\s/?#"']*@/g, `://${HIDDEN}@`],
  // Presigned URLs and tokens in a query.
  [
    /([?&](?:x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|signature|sig|token|access_token|refresh_token|password)=)[^&\s"']+/gi,
    `$1${HIDDEN}`,
  ],
  // JSON web tokens (what only begins like one is stepped over whole, never searched again) and nkey seeds.
  [/\beyJ[\w-]{5,}(\.[\w-]{5,}\.[\w-]*)?/g, (match, rest?: string) => (rest === undefined ? match : HIDDEN)],
  [/\bS[UANOCX][A-Z2-7]{56}\b/g, HIDDEN],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
];

/** What every one of the patterns needs: most texts of a log line have none of it, and need not be searched eight times. */
const SUSPICIOUS = /authorization|bearer|basic|:\/\/|[?&]|eyJ|S[UANOCX][A-Z2-7]{56}|-----BEGIN/i;

/** `realm="..."` and `tokens` follow the word Bearer too. */
function looksRandom(token: string): boolean {
  return /\d/.test(token) || token.length >= 20;
}

/** The text without what looks like a secret. */
export function redactText(text: string): string {
  if (!isSuspicious(text)) return text;
  let clean = text;
  for (const [pattern, replacement] of PATTERNS) {
    clean = typeof replacement === 'string' ? clean.replace(pattern, replacement) : clean.replace(pattern, replacement);
  }
  return clean;
}

/** Whether all of an object's values are plain and none has the name of a secret: then only its texts may hold one. */
export function isFlat(fields: Readonly<Record<string, unknown>>): boolean {
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined || typeof value === 'number' || typeof value === 'boolean') continue;
    if (typeof value !== 'string' || isSecretName(name)) return false;
  }
  return true;
}

/** Whether a text may hold what looks like a secret: those that do not are printed as they are. */
export function isSuspicious(text: string): boolean {
  return SUSPICIOUS.test(text);
}

const MAX_DEPTH = 6;

/**
 * A copy that is safe to print: secret-looking fields and texts hidden, errors as `{ code, message, cause }`, no cycles.
 * An error without a code is a programmer's: it keeps its stack.
 */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null)
    return typeof value === 'function' || typeof value === 'symbol' ? undefined : value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  if (value instanceof Map) return redact(Object.fromEntries(value), depth);
  if (value instanceof Set) return redact([...value], depth);
  if ('toJSON' in value && typeof value.toJSON === 'function')
    return redact((value.toJSON as () => unknown)(), depth + 1);
  const clean: Record<string, unknown> = {};
  for (const [key, inner] of Object.entries(value)) {
    clean[key] =
      isSecretName(key) && inner !== undefined && inner !== null && typeof inner !== 'boolean'
        ? HIDDEN
        : redact(inner, depth + 1);
  }
  return clean;
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const code = (error as { code?: unknown }).code;
  const known = typeof code === 'string' || typeof code === 'number';
  return {
    ...(known ? { code } : { name: error.name }),
    message: redactText(error.message),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
    ...(known || error.stack === undefined ? {} : { stack: redactText(error.stack) }),
  };
}
