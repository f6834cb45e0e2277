import { decide, type RequestFacts } from './decide.ts';
import type { RuleState } from './rule.ts';

/** A tags list as a client must see it while `gone` rules hide some tags and `serve` rules have made new ones. JSON in and out. */
export function listedTags(body: string, list: RequestFacts, rules: readonly RuleState[]): string {
  const parsed = JSON.parse(body) as { name: string; tags: string[] | null };
  const made = rules
    .filter(({ rule }) => rule.fault.do === 'serve')
    .map(({ rule }) => rule.match?.reference)
    .filter((tag) => tag !== undefined && !tag.includes('*'));
  const tags = new Set([...(parsed.tags ?? []), ...made] as string[]);
  const visible = [...tags].filter((tag) => {
    const asTag: RequestFacts = { ...list, kind: 'manifest-tag', reference: tag };
    const fault = decide(rules, asTag, 'content').slots.target;
    return fault === undefined ? (parsed.tags ?? []).includes(tag) : fault.do !== 'gone';
  });
  return JSON.stringify({ ...parsed, tags: visible.sort() });
}
