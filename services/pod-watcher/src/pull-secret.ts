import type { KubeObject } from '@kuik/kube';
import { isRecord } from '@kuik/rules';
import { bySpecificity, coversRepository, parseImagePattern } from './image-match.ts';

export interface SecretObject extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

/** What an entry of a docker config says; `registry` is a Bearer token that is sent as it is, `identity` an OAuth2 refresh token. */
export type Login =
  | { readonly kind: 'basic'; readonly username: string; readonly password: string }
  | { readonly kind: 'identity'; readonly token: string }
  | { readonly kind: 'registry'; readonly token: string };

/** A login, and the entry that it is of: what sorts it among those of other secrets. */
export interface KeyedLogin {
  readonly key: string;
  readonly login: Login;
}

/** The logins of one secret for one repository, and what is wrong with the secret (never what it holds). */
export interface SecretReading {
  readonly logins: readonly KeyedLogin[];
  readonly mistake?: string;
}

const CONFIG_JSON = { type: 'kubernetes.io/dockerconfigjson', key: '.dockerconfigjson' } as const;
const CONFIG = { type: 'kubernetes.io/dockercfg', key: '.dockercfg' } as const;

/**
 * The logins that a pull secret holds for a repository (canonical host), most specific entry first, matched as kubelet does
 * (image-match.ts). A secret of another type holds none; one that cannot be read is a mistake of its owner and never keeps others, nor its
 * other entries, from being tried.
 */
export function readPullSecret(secret: SecretObject, host: string, repository: string): SecretReading {
  const form = [CONFIG_JSON, CONFIG].find(({ type }) => type === secret.type);
  if (form === undefined) return { logins: [] };
  const data = secret.data?.[form.key];
  if (data === undefined) return mistaken(`has no key ${form.key}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  } catch {
    return mistaken(`its ${form.key} is not JSON`);
  }
  const entries = form === CONFIG ? parsed : isRecord(parsed) ? (parsed['auths'] ?? {}) : undefined;
  if (!isRecord(entries)) return mistaken(`its ${form.key} is not a map of registries`);
  const logins: KeyedLogin[] = [];
  let mistake: string | undefined;
  for (const [registry, entry] of Object.entries(entries)) {
    const pattern = parseImagePattern(registry);
    if (pattern === undefined || !coversRepository(pattern, host, repository)) continue;
    const found = isRecord(entry) ? readLogins(entry) : [];
    if (found.length === 0)
      mistake ??= `its entry for ${host} has neither a readable auth, nor username and password, nor a token`;
    logins.push(...found.map((login) => ({ key: pattern.key, login })));
  }
  logins.sort(bySpecificity);
  return mistake === undefined ? { logins } : { logins, mistake };
}

function mistaken(mistake: string): SecretReading {
  return { logins: [], mistake };
}

/** Tokens before a name and password: whoever has a token wrote the name beside it for older clients, often without a password. */
function readLogins(entry: Record<string, unknown>): Login[] {
  const { registrytoken, identitytoken } = entry;
  const logins: Login[] = [];
  if (isToken(registrytoken)) logins.push({ kind: 'registry', token: registrytoken });
  if (isToken(identitytoken)) logins.push({ kind: 'identity', token: identitytoken });
  const basic = readNameAndPassword(entry);
  if (basic !== undefined && (logins.length === 0 || basic.password !== '')) logins.push(basic);
  return logins;
}

/** What may stand in a header or a form: printable, without spaces. */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}

function readNameAndPassword(entry: Record<string, unknown>): Extract<Login, { kind: 'basic' }> | undefined {
  const { auth, username, password } = entry;
  if (typeof auth === 'string' && auth !== '') {
    const text = Buffer.from(auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 1) return undefined;
    // Some writers pad the decoded text with NUL.
    let end = text.length;
    while (end > colon + 1 && text[end - 1] === '\0') end -= 1;
    return { kind: 'basic', username: text.slice(0, colon), password: text.slice(colon + 1, end) };
  }
  if (typeof username !== 'string' || typeof password !== 'string' || username === '') return undefined;
  return { kind: 'basic', username, password };
}
