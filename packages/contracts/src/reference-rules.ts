/** A CEL rule of a field: what has to hold, and what a person is told when it does not. */
export interface FieldRule {
  readonly rule: string;
  readonly message: string;
}

// RE2 within a CEL string literal: a backslash of the pattern is written twice. The grammar is packages/image's.
const COMPONENT = '[a-z0-9]+((\\\\.|_|__|-+)[a-z0-9]+)*';
/** The first of several components is no host as long as it holds no dot. */
const FIRST = '[a-z0-9]+((_|__|-+)[a-z0-9]+)*';
const LABEL = '[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?';
const HOST = `(${LABEL}(\\\\.${LABEL})+(:[0-9]+)?|${LABEL}:[0-9]+|(?i:localhost)|\\\\[[a-fA-F0-9:]+\\\\](:[0-9]+)?)`;
const NAME = `(${HOST}/${COMPONENT}(/${COMPONENT})*|${FIRST}(/${COMPONENT})+|${COMPONENT})`;
const NO_PORT = ':(0+|0*([1-9][0-9]{5,}|6553[6-9]|655[4-9][0-9]|65[6-9][0-9]{2}|6[6-9][0-9]{3}|[7-9][0-9]{4}))/';

export const DIGEST = 'sha(256:[a-f0-9]{64}|384:[a-f0-9]{96}|512:[a-f0-9]{128})';

/** What is written before tag and digest. */
const REPOSITORY = "self.find('^([^/@]+/)*[^:/@]+')";
/**
 * Length of the repository as the cache writes it: a port's colon takes two characters, and a name without a host belongs to Docker Hub.
 */
const CACHE_LENGTH = `${REPOSITORY}.size() + (self.matches('^[^/]*[.:][^/]*/') || self.startsWith('localhost/') ? (self.matches('^[^/]*:[^/]*/') ? 1 : 0) : (${REPOSITORY}.contains('/') ? 10 : 18))`;

const rule = (expression: string, message: string): FieldRule => ({ rule: expression, message });

/** What an image's text has to be so that it can be parsed and kept in the cache. */
export function imageRules(field: string): FieldRule[] {
  const tag = '(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?';
  return [
    rule(
      `self.matches('^${NAME}${tag}(@${DIGEST})?$')`,
      `${field} is not an image reference: write [host[:port]/]path[:tag][@sha256:<64 hex>], the host with a domain or a port, the path in lower case`,
    ),
    ...nameRules(field),
  ];
}

/** The same for a repository, which has neither tag nor digest. */
export function repositoryRules(field: string): FieldRule[] {
  return [
    rule(
      `self.matches('^${NAME}$')`,
      `${field} is not a repository: write [host[:port]/]path, the host with a domain or a port, the path in lower case, without tag or digest`,
    ),
    ...nameRules(field),
  ];
}

function nameRules(field: string): FieldRule[] {
  return [
    rule(`!self.matches('^[^/@]*${NO_PORT}')`, `${field} has a port that is none: write one from 1 to 65535`),
    rule(
      "!self.matches('^[a-f0-9]{64}(:|@|$)')",
      `${field} is the bare ID of an image: write the repository that it is pulled from`,
    ),
    rule(
      "!self.startsWith('[')",
      `${field} has a registry with an IPv6 address, which no path in the cache can carry: give the registry a host name`,
    ),
    rule(
      `${CACHE_LENGTH} <= 255`,
      `${field} is too long for the cache: host and path together may have 255 characters (docker.io/library/ counts, a port one more)`,
    ),
  ];
}
