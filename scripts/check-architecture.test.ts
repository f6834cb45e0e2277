import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { compare, namedFiles, readMap } from './check-architecture.ts';

const MAP = [
  '| `packages/a` | noun | things | - |',
  '| `packages/b` | adapter | things | - |',
  '| `packages/bed` | bed | things | - |',
  '| `services/s` | service | more | a, b |',
].join('\n');
const withBed = MAP.replace('a, b', 'a, b, bed');
const tree = (dependencies: Record<string, string>, dev: Record<string, string> = {}) =>
  new Map([
    ['packages/a', { name: '@kuik/a' }],
    ['packages/b', { name: '@kuik/b' }],
    ['packages/bed', { name: '@kuik/bed' }],
    ['services/s', { name: '@kuik/s', dependencies, devDependencies: dev }],
  ]);
const BOTH = { '@kuik/a': 'workspace:*', '@kuik/b': 'workspace:*' };

describe('the architecture check', () => {
  it('accepts a true map', () =>
    expect(compare(readMap(MAP), tree(BOTH, { '@kuik/testbed': '*', '@kuik/tooling': '*' }))).toEqual([]));

  it.each<[string, string[]]>([
    ['an arrow that is not allowed', compare(readMap(MAP), tree({ ...BOTH, '@kuik/c': '*' }))],
    ['an arrow that is not there', compare(readMap(MAP), tree({ '@kuik/a': '*' }))],
    ['a workspace that is not in the map', compare(readMap(MAP), tree(BOTH).set('services/t', { name: '@kuik/t' }))],
    ['a row without workspace', compare(readMap(`${MAP}\n| \`services/gone\` | service | x | - |`), tree(BOTH))],
    ['a service that depends on a bed', compare(readMap(withBed), tree({ ...BOTH, '@kuik/bed': '*' }))],
    ['a service as devDependency', compare(readMap(MAP), tree(BOTH, { '@kuik/other': '*' }))],
  ])('finds %s', (_name, wrong) => expect(wrong).toHaveLength(1));

  it('knows which files the reader is sent to, the short names beside the full ones', () => {
    const rows = '| a? | `x/src/a.ts`, `b.ts`, then `y/c.ts` |\n| what of each? | `services/<service>/src/config.ts` |';
    expect(namedFiles(`## Find a behaviour\n\n| question | file |\n| --- | --- |\n${rows}\n`)).toEqual([
      'x/src/a.ts',
      'x/src/b.ts',
      'y/c.ts',
    ]);
    expect(namedFiles(readFileSync('docs/architecture.md', 'utf8')).length).toBeGreaterThan(50);
  });

  it('reads the real map', () =>
    expect(readMap(readFileSync('docs/architecture.md', 'utf8')).size).toBeGreaterThanOrEqual(17));
});
