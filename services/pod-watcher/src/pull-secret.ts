import { canonicalHost } from '@kuik/image';
import type { KubeObject } from '@kuik/kube';
import { isRecord } from '@kuik/rules';

export interface SecretObject extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** The logins of one secret for one host, or what is wrong with the secret (never what it holds). */
export type SecretReading = { readonly logins: readonly Login[] } | { readonly mistake: string };

const CONFIG_JSON = { type: 'kubernetes.io/dockerconfigjson', key: '.dockerconfigjson' } as const;
const CONFIG = { type: 'kubernetes.io/dockercfg', key: '.dockercfg' } as const;

/**
 * The logins that a pull secret holds for a registry host (canonical), by exact host. A secret of another type holds none; one
 * that cannot be read is a mistake of its owner and never keeps other secrets from being tried.
 */
export function readPullSecret(secret: SecretObject, host: string): SecretReading {
  const form = [CONFIG_JSON, CONFIG].find(({ type }) => type === secret.type);
  if (form === undefined) return { logins: [] };
  const data = secret.data?.[form.key];
  if (data === undefined) return { mistake: `has no key ${form.key}` };
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(data, 'base64').toString('utf8'));
  } catch {
    return { mistake: `its ${form.key} is not JSON` };
  }
  const entries = form === CONFIG ? parsed : isRecord(parsed) ? (parsed['auths'] ?? {}) : undefined;
  if (!isRecord(entries)) return { mistake: `its ${form.key} is not a map of registries` };
  const logins: Login[] = [];
  for (const [registry, entry] of Object.entries(entries)) {
    if (registryHost(registry) !== host) continue;
    const login = isRecord(entry) ? readLogin(entry) : undefined;
    if (login === undefined)
      return { mistake: `its entry for ${host} has neither a readable auth nor username and password` };
    logins.push(login);
  }
  return { logins };
}

/** The host that a key of a docker config names: scheme and path do not count, Docker Hub has several spellings. */
export function registryHost(key: string): string | undefined {
  // No pattern with a tail: keys are as long as a secret may be.
  const [bare = ''] = key.replace(/^https?:\/\//, '').split('/', 1);
  return canonicalHost(bare);
}

function readLogin(entry: Record<string, unknown>): Login | undefined {
  const { auth, username, password } = entry;
  if (typeof auth === 'string' && auth !== '') {
    const text = Buffer.from(auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 1) return undefined;
    // Some writers pad the decoded text with NUL.
    let end = text.length;
    while (end > colon + 1 && text[end - 1] === '\0') end -= 1;
    return { username: text.slice(0, colon), password: text.slice(colon + 1, end) };
  }
  if (typeof username !== 'string' || typeof password !== 'string' || username === '') return undefined;
  return { username, password };
}
