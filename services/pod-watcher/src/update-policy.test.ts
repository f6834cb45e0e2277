import { describe, expect, it } from '@jest/globals';
import { at, cachedImage, cacheStanza, DAY, MINUTE, NOW, repository } from './testing/objects.ts';
import { describePolicy, policyOf, updateAt, updatePolicy } from './update-policy.ts';

const spec = (change: object) => repository({ spec: change }).spec;
const HOUR = 60 * MINUTE;

describe('updatePolicy', () => {
  it.each([
    ['1h', HOUR],
    ['5m', 5 * MINUTE],
    ['1h30m', 90 * MINUTE],
    // As kuik v1 stored it.
    ['1h0m0s', HOUR],
    ['7d', 7 * DAY],
    ['1.5d', 1.5 * DAY],
    // The shortest is a minute.
    ['5s', MINUTE],
  ])('every %s', (updateInterval, everyMs) => {
    expect(updatePolicy(spec({ updateInterval }))).toMatchObject({ kind: 'every', everyMs });
  });

  it.each(['0', '0s', '-5m', '', 'soon', '1y', '5'])('%j is no interval, and says what to write', (updateInterval) => {
    expect(updatePolicy(spec({ updateInterval }))).toEqual({
      kind: 'invalid',
      reason: 'IntervalInvalid',
      message: `spec.updateInterval ${JSON.stringify(updateInterval)} is not a duration above zero: write for example 30m, 1h30m or 7d`,
    });
  });

  it.each([['('], ['(?<!a)b'], ['a\\1']])('%s is no filter', (pattern) => {
    expect(updatePolicy(spec({ updateInterval: '1h', updateFilters: ['ok', pattern] }))).toMatchObject({
      kind: 'invalid',
      reason: 'FilterInvalid',
      message: expect.stringContaining('spec.updateFilters[1]'),
    });
  });

  it('is none without an interval', () => {
    expect(updatePolicy(spec({ updateFilters: ['('] }))).toEqual({ kind: 'none' });
    expect(policyOf(undefined)).toEqual({ kind: 'none' });
  });

  it.each<[string, string[], string, boolean]>([
    ['no filter means all', [], 'nginx', true],
    ['unanchored', ['gin'], 'nginx', true],
    ['any of them', ['redis', '^nginx$'], 'nginx', true],
    ['as written', ['^nginx'], 'nginx', true],
    ['as it is in full: where v1 missed a tag that was left out', ['latest'], 'nginx', true],
    ['as it is in full: the registry', ['^docker\\.io/library/'], 'nginx', true],
    ['anchored', ['^gin'], 'nginx', false],
    ['another tag', [':1\\.2[0-9]$'], 'nginx:1.30', false],
  ])('filters: %s', (_name, updateFilters, sourceImage, expected) => {
    const policy = updatePolicy(spec({ updateInterval: '1h', updateFilters }));
    expect(policy.kind === 'every' && policy.matches(cachedImage({ spec: { sourceImage } }))).toBe(expected);
  });

  it('compiles a wish once', () => {
    const wish = repository({ spec: { updateInterval: '1h' } });
    expect(policyOf(wish)).toBe(policyOf(wish));
  });

  it('says it in words', () => {
    expect(describePolicy({ everyMs: 90 * MINUTE }, 0)).toBe('upstream is asked for every image every 1h30m');
    expect(describePolicy({ everyMs: DAY }, 2)).toBe(
      'upstream is asked for each image that one of 2 filters matches every 1d',
    );
  });
});

describe('updateAt', () => {
  const hourly = updatePolicy(spec({ updateInterval: '1h' }));
  const copied = (ms: number, sourceImage = 'nginx:1') =>
    cachedImage({ spec: { sourceImage }, status: { cache: cacheStanza({ copiedAt: at(ms) }) } });

  it.each([
    ['an hour after its last copy', copied(-10 * MINUTE), NOW + 50 * MINUTE],
    ['due since long', copied(-DAY), NOW - DAY + HOUR],
    [
      'an hour after upstream was last asked, whenever its content was looked at since',
      cachedImage({ status: { cache: cacheStanza({ copiedAt: at(-MINUTE), askedAt: at(-DAY) }) } }),
      NOW - DAY + HOUR,
    ],
    ['never copied', cachedImage(), 0],
    ['never: a digest does not move', copied(-DAY, `nginx@sha256:${'a'.repeat(64)}`), undefined],
    ['never: no reference', copied(-DAY, 'a:b:c'), undefined],
  ])('%s', (_name, image, expected) => expect(updateAt(image, hourly)).toBe(expected));

  it.each([
    ['no wish', updatePolicy(spec({}))],
    ['a wish that cannot be read', updatePolicy(spec({ updateInterval: '0' }))],
    ['a filter that does not match', updatePolicy(spec({ updateInterval: '1h', updateFilters: ['redis'] }))],
  ])('never: %s', (_name, policy) => expect(updateAt(copied(-DAY), policy)).toBeUndefined());
});
