import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { KubeError } from '../kube-error.ts';

/** PEM given inline, or the file that holds it. */
export type Pem = { data: string } | { file: string };

/** One context of a kubeconfig, resolved: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
export interface KubeconfigContext {
  file: string;
  context: string;
  server: string;
  servername?: string;
  insecure: boolean;
  ca?: Pem;
  cert?: Pem;
  key?: Pem;
  token?: string;
  tokenFile?: string;
  basic?: { username: string; password: string };
  impersonate?: { user: string; groups: string[] };
  /** `exec` or `auth-provider`: needs @kubernetes/client-node, which is loaded only then. */
  plugin: boolean;
}

type Fields = Record<string, unknown>;

/** Reads one context (default: the current one) of a kubeconfig file. Throws KubeError 'invalid' naming file, field and remedy. */
export function readKubeconfig(file: string, context?: string): KubeconfigContext {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new KubeError('invalid', `cannot read kubeconfig ${file}: ${code}; check the path`, { cause: error });
  }
  return parseKubeconfig(text, file, context);
}

/** The same for a text; `file` gives relative paths their folder and errors their name. */
export function parseKubeconfig(text: string, file: string, wanted?: string): KubeconfigContext {
  const bad = (what: string): KubeError => new KubeError('invalid', `cannot use kubeconfig ${file}: ${what}`);
  let config: Fields;
  try {
    config = fields(parse(text));
  } catch (error) {
    throw bad(`not YAML: ${(error as Error).message.split('\n', 1)[0] ?? ''}`);
  }
  const pick = (list: string, inner: string, name: string): Fields => {
    const entries = config[list];
    const found = (Array.isArray(entries) ? entries : []).map(fields).find((entry) => entry['name'] === name);
    if (found === undefined) throw bad(`${list} has no entry named "${name}"`);
    return fields(found[inner]);
  };
  const context = wanted ?? string(config, 'current-context');
  if (context === undefined) throw bad('current-context is missing: set it, or name a context');
  const chosen = pick('contexts', 'context', context);
  const clusterName = string(chosen, 'cluster');
  if (clusterName === undefined) throw bad(`context "${context}" names no cluster`);
  const cluster = pick('clusters', 'cluster', clusterName);
  const server = string(cluster, 'server');
  if (server === undefined || !URL.canParse(server)) throw bad(`server of cluster "${clusterName}" is not a URL`);
  if (string(cluster, 'proxy-url') !== undefined) {
    throw bad(`proxy-url of cluster "${clusterName}" is not supported: name a server that is reached directly`);
  }
  const userName = string(chosen, 'user');
  const user = userName === undefined ? {} : pick('users', 'user', userName);
  const folder = dirname(resolve(file));
  const username = string(user, 'username');
  const impersonated = string(user, 'as');
  const groups = user['as-groups'];
  const token = string(user, 'token');
  const tokenFile = string(user, 'tokenFile');
  const servername = string(cluster, 'tls-server-name');
  return {
    file,
    context,
    server: server.replace(/\/+$/, ''),
    insecure: cluster['insecure-skip-tls-verify'] === true,
    plugin: user['exec'] !== undefined || user['auth-provider'] !== undefined,
    ...(servername === undefined ? {} : { servername }),
    ...pem('ca', cluster, 'certificate-authority', folder),
    ...pem('cert', user, 'client-certificate', folder),
    ...pem('key', user, 'client-key', folder),
    ...(token === undefined ? {} : { token }),
    ...(tokenFile === undefined ? {} : { tokenFile: resolve(folder, tokenFile) }),
    ...(username === undefined ? {} : { basic: { username, password: string(user, 'password') ?? '' } }),
    ...(impersonated === undefined
      ? {}
      : { impersonate: { user: impersonated, groups: Array.isArray(groups) ? groups.map(String) : [] } }),
  };
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function string(from: Fields, field: string): string | undefined {
  const value = from[field];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function pem(as: string, from: Fields, field: string, folder: string): Record<string, Pem> {
  const data = string(from, `${field}-data`);
  if (data !== undefined) return { [as]: { data: Buffer.from(data, 'base64').toString('utf8') } };
  const file = string(from, field);
  return file === undefined ? {} : { [as]: { file: resolve(folder, file) } };
}
