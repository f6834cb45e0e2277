import { isDigest } from './digest.ts';
import { GRAMMAR, GRAMMAR_LIMITS, HUB_ALIASES } from './grammar.ts';

/**
 * A parsed image reference in canonical form: host lower-cased, Docker Hub's short names written in full, no default tag
 * added beside a digest. Grammar: github.com/distribution/reference (reference.go, normalize.go).
 */
export interface Reference {
  /** `docker.io`, `registry.example.test:5000`, `[fd00::1]:5000`. */
  readonly host: string;
  /** Repository path within the host: `library/nginx`. */
  readonly path: string;
  readonly tag?: string;
  /** With its algorithm: `sha256:<hex>`. */
  readonly digest?: string;
}

/** Why a text is no image reference; `message` is one line for a person. */
export class InvalidReference extends Error {
  readonly text: string;

  constructor(text: string, why: string) {
    super(`"${text.length > 300 ? `${text.slice(0, 300)}...` : text}" is not an image reference: ${why}`);
    this.name = 'InvalidReference';
    this.text = text;
  }
}

const DEFAULT_HOST = 'docker.io';
const DEFAULT_TAG = 'latest';

const HOST = new RegExp(`^(?:${GRAMMAR.domain}|${GRAMMAR.ipv6})(?::${GRAMMAR.port})?$`);
const PATH = new RegExp(`^${GRAMMAR.path}$`);
const TAG = new RegExp(`^${GRAMMAR.tag}$`);
const IMAGE_ID = new RegExp(`^${GRAMMAR.imageId}$`);
const PATH_MAX = GRAMMAR_LIMITS.path;

/** True for a legal tag (distribution/reference: a word character, then up to 127 of word, `.`, `-`). */
export function isTag(text: string): boolean {
  return TAG.test(text);
}

/** True for a legal repository path without host, at most 255 characters. */
export function isRepositoryPath(text: string): boolean {
  return text.length <= PATH_MAX && PATH.test(text);
}

/** Lower-cased registry host with Docker Hub's aliases folded, or undefined when `text` is no `host[:port]`. */
export function canonicalHost(text: string): string | undefined {
  if (text.length > GRAMMAR_LIMITS.host || !HOST.test(text)) return undefined;
  const host = text.toLowerCase();
  return HUB_ALIASES.includes(host) ? DEFAULT_HOST : host;
}

/**
 * Parses what a person writes in a pod (`nginx`, `ghcr.io/a/b:1`, `repo:tag@sha256:..`) into the canonical reference.
 * Without tag and digest the tag is `latest`. Throws InvalidReference.
 */
export function parseReference(text: string): Reference {
  if (text === '') throw new InvalidReference(text, 'it is empty');
  if (text.length > GRAMMAR_LIMITS.text)
    throw new InvalidReference(text, `it is longer than ${GRAMMAR_LIMITS.text} characters`);

  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) {
    throw new InvalidReference(
      text,
      `the digest "${digest.slice(0, 160)}" is not <sha256|sha384|sha512>:<lower-case hex>`,
    );
  }
  const named = at === -1 ? text : text.slice(0, at);

  const colon = named.lastIndexOf(':');
  const hasTag = colon > named.lastIndexOf('/');
  const tag = hasTag ? named.slice(colon + 1) : undefined;
  const name = hasTag ? named.slice(0, colon) : named;
  if (tag !== undefined && !isTag(tag)) throw new InvalidReference(text, `the tag "${tag.slice(0, 160)}" is not legal`);

  const { host, path } = splitName(text, name);
  if (tag !== undefined && digest !== undefined) return { host, path, tag, digest };
  if (digest !== undefined) return { host, path, digest };
  return { host, path, tag: tag ?? DEFAULT_TAG };
}

/** Like parseReference, with undefined instead of an error. */
export function tryParseReference(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof InvalidReference) return undefined;
    throw error;
  }
}

/** The canonical text: `host/path[:tag][@digest]`. `parseReference` is its inverse. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`;
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`;
  return `${reference.host}/${reference.path}${tag}${digest}`;
}

/** `host/path`: the repository's canonical name, as in `Repository.spec.name`. */
export function repositoryName(reference: Pick<Reference, 'host' | 'path'>): string {
  return `${reference.host}/${reference.path}`;
}

/** Parses a repository name without tag or digest (`nginx`, `quay.io/a/b`). Throws InvalidReference. */
export function parseRepository(text: string): Pick<Reference, 'host' | 'path'> {
  if (text.includes('@') || text.lastIndexOf(':') > text.lastIndexOf('/')) {
    throw new InvalidReference(text, 'a repository has neither tag nor digest');
  }
  return splitName(text, text);
}

function splitName(text: string, name: string): { host: string; path: string } {
  if (IMAGE_ID.test(name)) throw new InvalidReference(text, 'a bare 64-digit image ID names no repository');
  const slash = name.indexOf('/');
  const first = slash === -1 ? '' : name.slice(0, slash);
  const isHost = slash !== -1 && (/[.:[]/.test(first) || first === 'localhost' || first !== first.toLowerCase());
  const host = isHost ? canonicalHost(first) : DEFAULT_HOST;
  if (host === undefined) throw new InvalidReference(text, `"${first.slice(0, 160)}" is not a registry host`);
  if (isHost && !/[.:[]/.test(host) && host !== 'localhost') {
    // Lower-cased it would read as a Docker Hub namespace: no canonical text could carry it.
    throw new InvalidReference(text, `the registry host "${first.slice(0, 160)}" needs a domain or a port`);
  }
  const rest = isHost ? name.slice(slash + 1) : name;
  const path = host === DEFAULT_HOST && !rest.includes('/') ? `library/${rest}` : rest;
  if (path.length > PATH_MAX)
    throw new InvalidReference(text, `the repository path is longer than ${PATH_MAX} characters`);
  if (!PATH.test(path)) {
    const why = PATH.test(path.toLowerCase())
      ? 'the repository must be lower case'
      : `the repository "${rest.slice(0, 160)}" is not legal`;
    throw new InvalidReference(text, why);
  }
  return { host, path };
}
