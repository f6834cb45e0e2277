import { describe, expect, it } from '@jest/globals';
import { imageServed } from '@kuik/contracts';
import { CacheMisses, holdersOf, type KnownManifest } from './cache-misses.ts';

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const [BLOB, IMAGE, INDEX, OTHER] = ['b', 'c', 'd', 'e'].map(digest) as [string, string, string, string];
const manifest = (own: string, ...named: string[]): KnownManifest => ({
  digest: own,
  bytes: Buffer.from(JSON.stringify({ named })),
});
const APP = { host: 'a.example:5000', path: 'team/app' };
const NAME = 'a.example:5000/team/app';
const T0 = Date.parse('2026-11-01T00:00:00Z');
const at = (seconds: number) => new Date(T0 + seconds * 1000).toISOString();
const nothing = () => [];

describe('CacheMisses', () => {
  it.each([
    ['a manifest itself', `${NAME}@${IMAGE}`, [], [IMAGE]],
    [
      'the manifest of a blob, and the index of that',
      BLOB,
      [manifest(INDEX, IMAGE), manifest(IMAGE, BLOB)],
      [IMAGE, INDEX],
    ],
    ['a manifest and its index', `${NAME}@${IMAGE}`, [manifest(INDEX, IMAGE)], [IMAGE, INDEX]],
    ['no manifest that does not name it', BLOB, [manifest(OTHER, IMAGE)], []],
    ['nothing of a blob that hangs on nothing served from the cache', BLOB, [], []],
    ['nothing of a tag', `${NAME}:v1`, [], []],
    ['nothing of a list of tags', 'tags', [], []],
  ])('tell of %s', (_name, what, known, told) => {
    const misses = new CacheMisses();
    misses.add(APP, what, T0);
    expect(misses.take((repository) => (repository === NAME ? known : [])).map((one) => one.digest)).toEqual(told);
  });

  it('are told once, with the time of the last', () => {
    const misses = new CacheMisses();
    misses.add(APP, `${NAME}@${IMAGE}`, T0);
    misses.add(APP, `${NAME}@${IMAGE}`, T0 + 5000);
    expect(misses.take(nothing)).toEqual([{ repository: NAME, digest: IMAGE, at: at(5) }]);
    expect(misses.take(nothing)).toEqual([]);
  });

  it('name what is there with wrong bytes, also when it was only missed later', () => {
    const misses = new CacheMisses();
    misses.add(APP, BLOB, T0, { wrong: true });
    misses.add(APP, BLOB, T0);
    misses.add({ host: 'a.example', path: 'whole' }, `x@${OTHER}`, T0);
    const told = misses.take((repository) => (repository === NAME ? [manifest(IMAGE, BLOB)] : []));
    expect(told).toEqual([
      { repository: NAME, digest: IMAGE, at: at(0), wrong: [BLOB] },
      { repository: 'a.example/whole', digest: OTHER, at: at(0) },
    ]);
  });

  it('are bounded, and fit a message', () => {
    const misses = new CacheMisses();
    const many = Array.from({ length: 5_000 }, (_, index) => `sha256:${String(index).padStart(64, '0')}`);
    for (const one of many) misses.add({ host: 'a.example', path: 'p'.repeat(200) }, `x@${one}`, T0);
    const missing = misses.take(nothing);
    expect(imageServed.parse({ node: 'n', since: at(0), images: [], missing }).missing).toHaveLength(200);
  });

  it('read a bounded part of what is in memory, whoever asks for whatever', () => {
    const misses = new CacheMisses();
    for (let index = 0; index < 999; index += 1) {
      misses.add(APP, `sha256:${String(index).padStart(64, '0')}`, T0);
    }
    misses.add({ host: 'b.example', path: 'app' }, BLOB, T0);
    const big = { digest: OTHER, bytes: Buffer.alloc(5 * 1024 * 1024, 'x') };
    const fit = manifest(IMAGE, `sha256:${'0'.repeat(64)}`);
    const half = (own: string) => ({ digest: own, bytes: Buffer.alloc(2.5 * 1024 * 1024, ` ${BLOB}`) });
    const told = misses.take((repository) => (repository === NAME ? [big, fit] : [half(INDEX), half(OTHER)]));
    expect(told.map((one) => one.digest)).toEqual([IMAGE, INDEX]);
  });

  it('find holders although a manifest names itself or another in a circle', () => {
    expect(holdersOf([BLOB], [manifest(IMAGE, BLOB, IMAGE, INDEX), manifest(INDEX, IMAGE, INDEX)])).toEqual([
      IMAGE,
      INDEX,
    ]);
  });
});
