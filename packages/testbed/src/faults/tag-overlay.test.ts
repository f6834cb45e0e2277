import { describe, expect, it } from '@jest/globals';
import type { RuleState } from './rule.ts';
import { listedTags } from './tag-overlay.ts';

describe('the tags list', () => {
  const rule = (reference: string, fault: RuleState['rule']['fault'], repository = 'app'): RuleState => ({
    rule: { id: reference, host: 'h.test', match: { kind: 'manifest-tag', repository, reference }, fault },
    seen: 0,
    applied: 0,
  });
  const list = { host: 'h.test', kind: 'tags', method: 'GET', repository: 'app' } as const;

  it.each<[string, RuleState[], string[]]>([
    ['as it is without rules', [], ['1', '2']],
    ['without a tag that is gone', [rule('1', { do: 'gone' })], ['2']],
    ['without all of them', [rule('*', { do: 'gone' })], []],
    ['with a tag that was made', [rule('3', { do: 'serve', digest: 'sha256:a' })], ['1', '2', '3']],
    ['once with a tag that moved', [rule('1', { do: 'serve', digest: 'sha256:a' })], ['1', '2']],
    [
      'not touched by rules of another repository',
      [rule('1', { do: 'gone' }, 'other'), rule('3', { do: 'serve', digest: 'x' }, 'other')],
      ['1', '2'],
    ],
  ])('%s', (_, rules, tags) => {
    expect(JSON.parse(listedTags(JSON.stringify({ name: 'app', tags: ['2', '1'] }), list, rules))).toEqual({
      name: 'app',
      tags,
    });
  });
});
