/**
 * The grammar of image references as pattern texts that mean the same to JavaScript and to RE2, unanchored and without capturing groups.
 * Source: github.com/distribution/reference (reference.go, regexp.go).
 */
const DOMAIN_LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';

export const GRAMMAR = {
  /** A name or an IPv4 address, without a port. */
  domain: `${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*`,
  ipv6: '\\[[a-fA-F0-9:]+\\]',
  /** From 1 to 65535, with any number of zeros before it. */
  port: '0*(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])',
  component: COMPONENT,
  path: `${COMPONENT}(?:/${COMPONENT})*`,
  tag: '[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}',
  digest: '(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})',
  /** A bare image ID, which names no repository. */
  imageId: '[a-f0-9]{64}',
  /** A canonical host that means the node itself (see isLoopbackHost). */
  loopbackHost: '(?:localhost|[a-z0-9.-]+\\.localhost|127\\.[0-9]+\\.[0-9]+\\.[0-9]+|\\[::1\\])(?::[0-9]+)?',
} as const;

/** Longest parts of a reference, in characters. */
export const GRAMMAR_LIMITS = { text: 1024, host: 255, path: 255 } as const;

/** Docker Hub's other names: one registry, one credential host. */
export const HUB_ALIASES: readonly string[] = ['index.docker.io', 'registry-1.docker.io'];
