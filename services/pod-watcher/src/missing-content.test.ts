import { beforeEach, describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { silentLogger } from '@kuik/runtime';
import { MissingContentBook } from './missing-content.ts';
import {
  at,
  cachedImage,
  cacheStanza,
  DIGEST,
  IMAGE,
  MINUTE,
  NOW,
  OTHER_DIGEST,
  removalStanza,
} from './testing/objects.ts';

const REPOSITORY = 'registry.example.test/shop';
const cached = (change: Parameters<typeof cachedImage>[0] = {}) =>
  cachedImage({ status: { cache: cacheStanza() }, ...change });

describe('MissingContentBook', () => {
  let now: number;
  let images: CachedImage[];
  let book: MissingContentBook;
  beforeEach(() => {
    now = NOW;
    images = [cached()];
    const view = { imagesOfRepository: (repository: string) => (repository === REPOSITORY ? images : []) };
    book = new MissingContentBook({ view, now: () => now, log: silentLogger });
  });
  const report = (digest = DIGEST, ms = 0, repository = REPOSITORY) =>
    book.take({ node: 'node-1', since: at(0), images: [], missing: [{ repository, digest, at: at(ms) }] });

  it.each<[string, CachedImage, string, string[]]>([
    ['what a cached image holds', cached(), DIGEST, [IMAGE]],
    ['what a cached image pins', cached({ spec: { pin: OTHER_DIGEST } }), OTHER_DIGEST, [IMAGE]],
    ['what no image of the repository holds', cached(), OTHER_DIGEST, []],
    ['what was not copied yet', cachedImage(), DIGEST, []],
    [
      'what gc removed',
      cached({ status: { cache: cacheStanza(), removal: removalStanza({ removedAt: at(-1) }) } }),
      DIGEST,
      [],
    ],
    ['what was copied since', cached({ status: { cache: cacheStanza({ copiedAt: at(1) }) } }), DIGEST, []],
    [
      'what was copied a moment before, by another clock',
      cached({ status: { cache: cacheStanza({ copiedAt: at(-4_000) }) } }),
      DIGEST,
      [],
    ],
  ])('takes a report of %s', (_name, image, digest, told) => {
    images = [image];
    expect(report(digest)).toEqual(told);
    expect(book.wants(image)).toBe(told.length > 0);
  });

  it('knows nothing of another repository, and of reports without anything', () => {
    expect(report(DIGEST, 0, 'registry.example.test/other')).toEqual([]);
    expect(book.take({ node: 'node-1', since: at(0), images: [] })).toEqual([]);
  });

  it('sends somebody again soon, and more and more seldom while it goes on being missed, until it was not for a while', () => {
    const SECOND = 1000;
    const looks: number[] = [];
    const missAllAlong = (fromMs: number, toMs: number): void => {
      for (let ms = fromMs; ms < toMs; ms += 10 * SECOND) {
        now = NOW + ms;
        if (report(DIGEST, ms).length === 0) continue;
        expect(book.wants(images[0]!)).toBe(true);
        looks.push(ms / SECOND);
        book.sent(images[0]!);
        expect(book.wants(images[0]!)).toBe(false);
      }
    };
    missAllAlong(0, 40 * MINUTE);
    expect(looks).toEqual([0, 30, 90, 210, 450, 930, 1530, 2130]);
    looks.length = 0;
    missAllAlong(60 * MINUTE, 62 * MINUTE);
    expect(looks).toEqual([3600, 3630, 3690]);
  });

  it('remembers what was missed beside an image, until somebody was sent for it', () => {
    const child = `sha256:${'c'.repeat(64)}`;
    const other = { repository: 'registry.example.test/other', digest: `sha256:${'d'.repeat(64)}`, at: at(0) };
    const missing = [
      { repository: REPOSITORY, digest: DIGEST, at: at(0) },
      { ...other, repository: REPOSITORY, digest: child },
      other,
    ];
    book.take({ node: 'node-1', since: at(0), images: [], missing });
    report();
    expect(book.pulled(images[0]!)).toEqual([child]);
    book.sent(images[0]!);
    expect(book.pulled(images[0]!)).toEqual([]);
    expect(book.pulled(cached({ metadata: { uid: 'uid-2' } }))).toEqual([]);
  });

  it('remembers what nodes got with wrong bytes, until somebody was sent for it', () => {
    const wrong = (letter: string) => `sha256:${letter.repeat(64)}`;
    const told = (...of: string[]) =>
      book.take({
        node: 'node-1',
        since: at(0),
        images: [],
        missing: [{ repository: REPOSITORY, digest: DIGEST, at: at(0), wrong: of }],
      });
    told(wrong('1'), wrong('2'));
    told(wrong('2'), wrong('3'));
    report();
    expect(book.wrong(images[0]!)).toEqual([wrong('1'), wrong('2'), wrong('3')]);
    book.sent(images[0]!);
    expect(book.wrong(images[0]!)).toEqual([]);
  });

  it('is content when a copy came after', () => {
    report();
    expect(book.wants(cached({ status: { cache: cacheStanza({ copiedAt: at(1_000) }) } }))).toBe(false);
  });

  it('takes a node whose clock is far ahead for one of now', () => {
    report(DIGEST, 365 * 24 * 60 * MINUTE);
    expect(book.wants(cached({ status: { cache: cacheStanza({ copiedAt: at(1_000) }) } }))).toBe(false);
  });

  it('goes without a time that is none', () => {
    const missing = [{ repository: REPOSITORY, digest: DIGEST, at: 'yesterday' }];
    expect(book.take({ node: 'node-1', since: at(0), images: [], missing })).toEqual([]);
  });
});
