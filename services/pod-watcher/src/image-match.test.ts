import { describe, expect, it } from '@jest/globals';
import { bySpecificity, coversRepository, matchesGlob, parseImagePattern } from './image-match.ts';

const covers = (pattern: string, image: string): boolean => {
  const slash = image.indexOf('/');
  const parsed = parseImagePattern(pattern);
  return parsed !== undefined && coversRepository(parsed, image.slice(0, slash), image.slice(slash + 1));
};

describe('coversRepository', () => {
  // Of kubelet's own table (pkg/credentialprovider/keyring_test.go) and of kuik v1's vectors.
  it.each([
    ['quay.example.io', 'quay.example.io/a/b', true],
    ['https://quay.example.io', 'quay.example.io/a/b', true],
    ['https://quay.example.io/v1/', 'quay.example.io/a/b', true],
    ['https://quay.example.io/v2/', 'quay.example.io/a/b', true],
    ['https://quay.example.io/v2/a', 'quay.example.io/a/b', true],
    ['https://quay.example.io/v2/x', 'quay.example.io/a/b', false],
    ['*.example.io', 'quay.example.io/a', true],
    ['quay.*.io', 'quay.example.io/a', true],
    ['quay.example.*', 'quay.example.io/a', true],
    ['*-good.example.io', 'quay-good.example.io/a', true],
    ['*.example.io', 'a.b.example.io/a', false],
    ['*.*.example.io', 'a.b.example.io/a', true],
    ['*.*.example.io', 'b.example.io/a', false],
    ['*example.io', 'quay.example.io/a', false],
    ['quay.example.io', 'quay.example.com/a', false],
    ['quay.example.io', 'evilquay.example.io/a', false],
    ['quay.example.io', 'quay.example.io.evil.test/a', false],
    ['quay.example.io:5000', 'quay.example.io:5000/a', true],
    ['quay.example.io:5000', 'quay.example.io/a', false],
    ['quay.example.io', 'quay.example.io:5000/a', false],
    ['*.example.io:5000', 'quay.example.io:5000/a', true],
    ['quay.example.io/a', 'quay.example.io/a/b', true],
    ['quay.example.io/a/b', 'quay.example.io/a', false],
    ['*.example.io/tenant-a', 'quay.example.io/tenant-ab/x', true],
    ['quay.example.io/tenant-a/', 'quay.example.io/tenant-ab/x', false],
    ['localhost:5000', 'localhost:5000/alpine', true],
    ['localhost:5000', 'docker.io/library/alpine', false],
    ['https://index.docker.io/v1/', 'docker.io/library/alpine', true],
    ['index.docker.io', 'docker.io/library/alpine', true],
    ['registry-1.docker.io', 'docker.io/library/alpine', true],
    ['docker.io/library', 'docker.io/library/alpine', true],
    ['docker.io/acme', 'docker.io/library/alpine', false],
    ['QUAY.example.io', 'quay.example.io/a', true],
    ['123456789012.dkr.ecr.*.amazonaws.com', '123456789012.dkr.ecr.eu-west-1.amazonaws.com/a', true],
    ['[x', '[x/a', false],
    ['', 'quay.example.io/a', false],
    ['https:///x', 'quay.example.io/a', false],
  ])('%s and %s: %s', (pattern, image, expected) => {
    expect(covers(pattern, image)).toBe(expected);
  });
});

describe('matchesGlob', () => {
  it.each([
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['[a-c]x', 'bx', true],
    ['[^a-c]x', 'bx', false],
    ['[^a-c]x', 'dx', true],
    ['[abz]', 'z', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['*a*b', 'xaxxab', true],
    ['*a*b', 'xaxxac', false],
    ['**', '', true],
    ['[a-', 'a', false],
    ['[-a]', 'a', false],
    ['a\\', 'a', false],
  ])('%s and %s: %s', (glob, text, expected) => {
    expect(matchesGlob(glob, text)).toBe(expected);
  });

  it('takes no longer than the product of the lengths', () => {
    const started = performance.now();
    expect(matchesGlob('*a'.repeat(500), `${'a'.repeat(2_000)}b`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

it('sorts specific patterns before general ones, as kubelet does', () => {
  const keys = [
    '*.example.io',
    'quay.example.io',
    'quay.example.io/a',
    'quay.example.io/a/b',
    'https://index.docker.io/v1/',
  ];
  const sorted = keys.map((key) => parseImagePattern(key)!).sort(bySpecificity);
  expect(sorted.map(({ key }) => key)).toEqual([
    'quay.example.io/a/b',
    'quay.example.io/a',
    'quay.example.io',
    'docker.io',
    '*.example.io',
  ]);
});
