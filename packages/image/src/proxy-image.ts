import { decodeHost, decodeHostV1, encodeHost } from './host-encoding.ts';
import { isRepositoryPath, isTag, repositoryName, type Reference } from './reference.ts';
import { isDigest } from './digest.ts';

type Repository = Pick<Reference, 'host' | 'path'>;

/**
 * The image as pods are given it: `<prefix>/<host__port>/<path>[:tag][@digest]`, always in full. Undefined when it cannot be
 * encoded (IPv6 literal, over 255 characters): such an image stays unchanged, reason `NotEncodable`.
 */
export function toProxyImage(reference: Reference, prefix: string): string | undefined {
  const host = encodeHost(reference.host);
  if (host === undefined) return undefined;
  const path = `${host}/${reference.path}`;
  if (!isRepositoryPath(path)) return undefined;
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${prefix}/${path}${tag}${digest}`;
}

/**
 * Reads an image that goes through one of `prefixes` back: the references it may mean, most literal first (see
 * `repositoriesOf`). Empty when it does not go through the proxy.
 */
export function fromProxyImage(image: string, prefixes: readonly string[]): Reference[] {
  const prefix = prefixes.find((candidate) => image.startsWith(`${candidate}/`));
  if (prefix === undefined) return [];
  const match = /^([^:@]+)(?::([^@/]+))?(?:@(.+))?$/.exec(image.slice(prefix.length + 1));
  if (match === null) return [];
  const [, name, tag, digest] = match;
  if ((tag !== undefined && !isTag(tag)) || (digest !== undefined && !isDigest(digest))) return [];
  const rest = {
    ...(tag === undefined && digest === undefined ? { tag: 'latest' } : {}),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  };
  return repositoriesOf(name!).map((repository) => ({ ...repository, ...rest }));
}

/**
 * The repositories that a name asked of the proxy may mean, in the order in which they are tried: the literal form
 * (`docker.io/library/nginx`, `host__5000/app`), then kuik v1's (`host-5000/app`, `nginx`, `library/nginx`). Later ones count only
 * when no image of an earlier one is known. Empty when the name is no repository.
 */
export function repositoriesOf(name: string): Repository[] {
  if (!isRepositoryPath(name)) return [];
  const slash = name.indexOf('/');
  const found: Repository[] = [];
  const add = (host: string | undefined, path: string): void => {
    if (host === undefined || !isRepositoryPath(path)) return;
    const full = host === 'docker.io' && !path.includes('/') ? `library/${path}` : path;
    if (!found.some((other) => repositoryName(other) === `${host}/${full}`)) found.push({ host, path: full });
  };
  if (slash === -1) {
    add('docker.io', name);
    return found;
  }
  const first = name.slice(0, slash);
  const rest = name.slice(slash + 1);
  const host = decodeHost(first);
  if (host !== undefined && (/[.:]/.test(host) || host === 'localhost')) add(host, rest);
  if (/[.]/.test(first) || /-[0-9]+$/.test(first)) add(decodeHostV1(first), rest);
  if (!first.includes('.') && !first.includes('__')) add('docker.io', name);
  return found;
}
