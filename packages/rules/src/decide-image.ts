import { formatReference, fromProxyImage, isLoopbackHost, toProxyImage, tryParseReference } from '@kuik/image';
import type { ImageRules } from './compile-rules.ts';
import { REASONS, type Decision, type Reason } from './decision.ts';

/** Whether an image goes through the proxy already, readable or not: then it is used, whatever rules say of its pod. */
export function namesProxy(image: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => image.startsWith(prefix) && image[prefix.length] === '/');
}

/**
 * Decides one image by its text and pull policy alone. The first rule that applies:
 * 1. it goes through the proxy already: used as it is; 2. it names the proxy but nothing readable behind it: kept;
 * 3. it is no reference: kept; 4. pull policy Never: kept; 5. it is asked for at each start, and such are ignored: kept;
 * 6. an ignore pattern matches: kept; 7. there is an accept list and nothing of it matches: kept; 8. its registry is the node's own
 * (localhost): kept; 9. it cannot be written as a path of the proxy: kept; 10. rewritten.
 */
export function decideImage(
  image: string,
  pullPolicy: string | undefined,
  rules: ImageRules,
  prefixes: readonly string[],
): Decision {
  const keep = (reason: Reason, rule: string): Decision => ({ verdict: 'keep', reason, rule, image });
  if (namesProxy(image, prefixes)) {
    const [meant] = fromProxyImage(image, prefixes);
    if (meant === undefined) return keep(REASONS.proxyImageUnreadable, 'proxyPrefixes');
    const reason = REASONS.alreadyRewritten;
    return { verdict: 'observe', reason, rule: 'proxyPrefixes', image, reference: formatReference(meant) };
  }
  const reference = tryParseReference(image);
  if (reference === undefined) return keep(REASONS.notAReference, 'grammar');
  if (pullPolicy === 'Never') return keep(REASONS.pullPolicyNever, 'imagePullPolicy');
  if (rules.ignorePullPolicyAlways && isAlwaysPulled(pullPolicy, reference.tag))
    return keep(REASONS.pullPolicyAlways, 'ignorePullPolicyAlways');
  const canonical = formatReference(reference);
  const spellings = image === canonical ? [canonical] : [canonical, image];
  const ignoredBy = rules.ignored(spellings);
  if (ignoredBy !== undefined) return keep(REASONS.ignored, ignoredBy);
  const acceptedBy = rules.accepted(spellings);
  if (acceptedBy === undefined) return keep(REASONS.notAccepted, 'acceptImages');
  if (isLoopbackHost(reference.host)) return keep(REASONS.localRegistry, 'localhost');
  const rewritten = toProxyImage(reference, prefixes[0] ?? '');
  if (rewritten === undefined) return keep(REASONS.notEncodable, 'encoding');
  return { verdict: 'rewrite', reason: REASONS.rewritten, rule: acceptedBy, image: rewritten, reference: canonical };
}

/** Without a policy the API server makes it Always for the tag latest, and for no tag at all (parsed, that is latest too). */
export function isAlwaysPulled(pullPolicy: string | undefined, tag: string | undefined): boolean {
  return pullPolicy === undefined || pullPolicy === '' ? tag === 'latest' : pullPolicy === 'Always';
}
