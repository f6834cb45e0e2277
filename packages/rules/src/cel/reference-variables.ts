import { GRAMMAR, GRAMMAR_LIMITS, HUB_ALIASES } from '@kuik/image';
import { celString, celStrings, column, type Variable } from './cel-text.ts';

const { domain, ipv6, port, component, path, tag, digest, imageId } = GRAMMAR;
const REFERENCE = `^(?:${domain}|${ipv6})(?::${port})?/${path}(?::${tag})?(?:@${digest})?$`;

/**
 * The canonical form of each image, by the steps of `parseReference`: digest and tag are cut off, the first component is a host when it
 * has a dot, colon, bracket or upper case or is localhost, Docker Hub's short names are written in full. What these columns hold of a
 * text that is no reference is nonsense, and `legal` says so.
 */
export function referenceVariables(): Variable[] {
  const first = 'variables.name[i].split("/", 2)[0]';
  return [
    column('named', 'variables.text[i].split("@", 2)[0]'),
    column('digest', 'variables.text[i].contains("@") ? "@" + variables.text[i].split("@", 2)[1] : ""'),
    column(
      'writtenTag',
      'variables.named[i].lastIndexOf(":") > variables.named[i].lastIndexOf("/") ? variables.named[i].substring(variables.named[i].lastIndexOf(":")) : ""',
    ),
    column('name', 'variables.named[i].substring(0, size(variables.named[i]) - size(variables.writtenTag[i]))'),
    column(
      'writtenHost',
      `variables.name[i].contains("/") && (${first} == "localhost" || ${first}.matches(${celString('[.:\\[A-Z]')})) ? ${first} : ""`,
    ),
    column(
      'host',
      `variables.writtenHost[i] == "" || variables.writtenHost[i].lowerAscii() in ${celStrings(HUB_ALIASES)} ? "docker.io" : variables.writtenHost[i].lowerAscii()`,
    ),
    column(
      'rest',
      'variables.writtenHost[i] == "" ? variables.name[i] : variables.name[i].substring(size(variables.writtenHost[i]) + 1)',
    ),
    column(
      'path',
      'variables.host[i] == "docker.io" && !variables.rest[i].contains("/") ? "library/" + variables.rest[i] : variables.rest[i]',
    ),
    column('tag', 'variables.writtenTag[i] == "" && variables.digest[i] == "" ? ":latest" : variables.writtenTag[i]'),
    column('canonical', 'variables.host[i] + "/" + variables.path[i] + variables.tag[i] + variables.digest[i]'),
    column(
      'legal',
      [
        `size(variables.text[i]) <= ${GRAMMAR_LIMITS.text}`,
        `size(variables.writtenHost[i]) <= ${GRAMMAR_LIMITS.host}`,
        `size(variables.path[i]) <= ${GRAMMAR_LIMITS.path}`,
        `(variables.host[i] == "localhost" || variables.host[i].matches(${celString('[.:\\[]')}))`,
        `!variables.name[i].matches(${celString(`^${imageId}$`)})`,
        `variables.canonical[i].matches(${celString(REFERENCE)})`,
      ].join(' && '),
    ),
  ];
}

const READABLE = `^${path}(?::${tag})?(?:@${digest})?$`;
/** A name without a host (`nginx`); else a first component that is a host, or the first half of a Docker Hub name. */
const READABLE_START = `^(?:${component}$|(?:${domain}(?:__${port})?|[a-z0-9]+(?:(?:_|-+)[a-z0-9]+)*)/)`;

/**
 * Of images that are `proxied` already: what is `behind` the prefix, and whether it is `readable`, as `fromProxyImage` reads it. Of those
 * that are not yet: the image `through` the proxy, as `toProxyImage` writes it, where it is `encodable`.
 */
export function proxyVariables(prefixes: readonly string[]): Variable[] {
  const starts = prefixes.map((prefix) => `variables.text[i].startsWith(${celString(`${prefix}/`)})`);
  const behind = prefixes.map((prefix, at) => `${starts[at]} ? variables.text[i].substring(${prefix.length + 1}) : `);
  const behindName = 'variables.behind[i].split("@", 2)[0].split(":", 2)[0]';
  const encoded = 'variables.host[i].replace(":", "__") + "/" + variables.path[i]';
  return [
    column('proxied', starts.join(' || ')),
    column('behind', `${behind.join('')}""`),
    column(
      'readable',
      [
        `variables.behind[i].matches(${celString(READABLE)})`,
        `${behindName}.matches(${celString(READABLE_START)})`,
        `size(${behindName}) <= ${GRAMMAR_LIMITS.path}`,
      ].join(' && '),
    ),
    column('encodable', `!variables.host[i].startsWith("[") && size(${encoded}) <= ${GRAMMAR_LIMITS.path}`),
    column('through', `${celString(`${prefixes[0] ?? ''}/`)} + ${encoded} + variables.tag[i] + variables.digest[i]`),
  ];
}
