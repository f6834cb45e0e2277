import type { ErrorName } from '@kuik/contracts';
import { isDigest, isTag, repositoriesOf, type Reference } from '@kuik/image';

export type Repository = Pick<Reference, 'host' | 'path'>;

/** What a client asked for, read from the request line alone. */
export type Pull =
  | { readonly kind: 'base' }
  | {
      readonly kind: 'manifest';
      readonly name: string;
      /** What the name may mean, in the order in which it is tried. */
      readonly repositories: readonly Repository[];
      readonly reference: { readonly tag: string } | { readonly digest: string };
    }
  | {
      readonly kind: 'blob';
      readonly name: string;
      readonly repositories: readonly Repository[];
      readonly digest: string;
    }
  | {
      readonly kind: 'tags';
      readonly name: string;
      readonly repositories: readonly Repository[];
      readonly query: string;
    }
  | {
      readonly kind: 'referrers';
      readonly name: string;
      readonly repositories: readonly Repository[];
      readonly digest: string;
      readonly query: string;
    };

/** What is asked for, of one kind. */
export type Asked<K extends Pull['kind']> = Extract<Pull, { kind: K }>;

export interface Refusal {
  readonly refused: ErrorName;
  /** The offending part, cut to a printable length. */
  readonly what: string;
}

const SHOWN = 120;

/**
 * Reads method and request target. Nothing is decoded: no legal name, tag or digest holds a character that needs escaping, so a
 * `%`, a backslash, an empty segment or `..` makes the name illegal instead of meaning something else. Rules, in order:
 *
 * 1. The target must be in origin form (RFC 9112 §3.2.1): absolute-form targets are refused.
 * 2. Outside `/v2/` there is no route.
 * 3. Under `/v2/` only GET and HEAD are served; the path of anything else is not looked at.
 * 4. The last segments choose the route; what is before them is the name, which must be a repository.
 */
export function parsePull(method: string, target: string): Pull | Refusal {
  if (!target.startsWith('/')) return { refused: 'nameInvalid', what: shown(target) };
  const question = target.indexOf('?');
  const path = question === -1 ? target : target.slice(0, question);
  const query = question === -1 ? '' : target.slice(question + 1);
  const underV2 = path === '/v2' || path.startsWith('/v2/');
  if (!underV2) return { refused: 'routeUnknown', what: shown(path) };
  if (method !== 'GET' && method !== 'HEAD') return { refused: 'readOnly', what: method.slice(0, SHOWN) };
  if (path.length <= '/v2/'.length) return { kind: 'base' };

  const segments = path.slice('/v2/'.length).split('/');
  const last = segments.at(-1)!;
  const verb = segments.at(-2);
  const name = segments.slice(0, -2).join('/');
  switch (verb) {
    case 'manifests':
      return manifestPull(name, last);
    case 'blobs': {
      const repositories = repositoriesOf(name);
      if (repositories.length === 0) return { refused: 'nameInvalid', what: shown(name) };
      return isDigest(last)
        ? { kind: 'blob', name, repositories, digest: last }
        : { refused: 'digestInvalid', what: shown(last) };
    }
    case 'tags': {
      if (last !== 'list') break;
      const repositories = repositoriesOf(name);
      if (repositories.length === 0) return { refused: 'nameInvalid', what: shown(name) };
      return { kind: 'tags', name, repositories, query };
    }
    case 'referrers': {
      const repositories = repositoriesOf(name);
      if (repositories.length === 0) return { refused: 'nameInvalid', what: shown(name) };
      return isDigest(last)
        ? { kind: 'referrers', name, repositories, digest: last, query }
        : { refused: 'digestInvalid', what: shown(last) };
    }
    case undefined:
    default:
      break;
  }
  return { refused: 'routeUnknown', what: shown(path) };
}

function manifestPull(name: string, reference: string): Pull | Refusal {
  const repositories = repositoriesOf(name);
  if (repositories.length === 0) return { refused: 'nameInvalid', what: shown(name) };
  if (isDigest(reference)) return { kind: 'manifest', name, repositories, reference: { digest: reference } };
  if (reference.includes(':')) return { refused: 'digestInvalid', what: shown(reference) };
  if (!isTag(reference)) return { refused: 'manifestReferenceInvalid', what: shown(reference) };
  return { kind: 'manifest', name, repositories, reference: { tag: reference } };
}

/** Safe to print: ASCII without controls, and short. */
function shown(text: string): string {
  const printable = text.replaceAll(/[^\x21-\x7e]/g, '?');
  return printable.length > SHOWN ? `${printable.slice(0, SHOWN)}...` : printable;
}
