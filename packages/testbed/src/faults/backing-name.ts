import { toCacheRepository } from '@kuik/image';

/**
 * The backing registry's repository for one of a host: `<prefix>/<host__port>/<path>`, so that no two names share content.
 * A path that no registry would accept is passed on as it is, to be refused by the real one.
 */
export function encodeRepository(prefix: string, host: string, path: string): string {
  const name = toCacheRepository({ host, path }) ?? `${host.replace(':', '__')}/${path}`;
  return prefix === '' ? name : `${prefix}/${name}`;
}

/** The host that `encodeRepository` wrote as `host__port`. */
export function decodeRepositoryHost(component: string): string {
  return component.replace(/__([0-9]+)$/, ':$1');
}
