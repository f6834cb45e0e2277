import { describe, expect, it } from '@jest/globals';
import type { CacheStanza } from '@kuik/contracts';
import { settledAt, Settling, settleTime } from './settling.ts';
import { cacheStanza, cachedImage } from './testing/objects.ts';

describe('settleTime', () => {
  it.each([
    [0, 1_000],
    [20, 3_000],
    [90, 10_000],
    [5_000, 10_000],
  ])('%i others: %i ms', (others, expected) => {
    expect(settleTime(others, 1_000)).toBe(expected);
  });
});

describe('settledAt', () => {
  it.each([
    ['nothing was copied', -Infinity, 12_000],
    ['a copy came early', 5_000, 12_000],
    ['a copy came just now', 20_000, 25_000],
    ['copies go on and on', 59_900, 62_000],
  ])('%s', (_name, heardAt, expected) => {
    expect(settledAt({ since: 2_000, until: 12_000 }, heardAt, 1_000)).toBe(expected);
  });
});

describe('Settling', () => {
  let now = 0;
  const started = (): Settling => {
    now = 0;
    const settling = new Settling(1_000, () => now);
    settling.begin('uid-1');
    return settling;
  };
  const bare = cachedImage({ metadata: { uid: 'uid-1' }, status: {} });

  it('waits its time for the first copy', () => {
    const settling = started();
    now = 400;
    expect(settling.leftMs(bare)).toBe(600);
    now = 1_000;
    expect(settling.leftMs(bare)).toBe(0);
  });

  it('waits no longer once the copier has said something, and never again', () => {
    const settling = started();
    const copied = cachedImage({ metadata: { uid: 'uid-1' }, status: { cache: cacheStanza({ forUid: 'uid-1' }) } });
    expect(settling.leftMs(copied)).toBe(0);
    expect(settling.leftMs(bare)).toBe(0);
  });

  it('lets nothing wait that was not made a moment ago', () => {
    expect(started().leftMs(cachedImage({ metadata: { uid: 'uid-2' }, status: {} }))).toBe(0);
  });

  it('is a rush while many wait for copies that come', () => {
    const settling = started();
    const image = (index: number, cache?: CacheStanza) =>
      cachedImage({ metadata: { uid: `uid-${index}` }, status: cache === undefined ? {} : { cache } });
    for (let index = 2; index <= 19; index += 1) settling.begin(`uid-${index}`);
    expect(settling.rushMs()).toBe(0);
    for (let index = 20; index <= 200; index += 1) settling.begin(`uid-${index}`);
    expect(settling.rushMs()).toBe(10_000);
    now = 9_000;
    const copied = (index: number) => settling.leftMs(image(index, cacheStanza({ forUid: `uid-${index}` })));
    copied(1);
    expect(settling.rushMs()).toBe(5_000);
    for (let index = 2; index <= 199; index += 1) copied(index);
    expect(settling.rushMs()).toBe(5_000);
    copied(200);
    expect(settling.rushMs()).toBe(0);
    settling.begin('uid-alone');
    expect(settling.rushMs()).toBe(0);
  });

  it('is no rush when nothing is copied any more', () => {
    const settling = started();
    for (let index = 2; index <= 200; index += 1) settling.begin(`uid-${index}`);
    now = 10_000;
    expect(settling.rushMs()).toBe(0);
  });

  it('waits longer among others, and forgets those whose time is up', () => {
    const settling = started();
    for (let index = 2; index <= 21; index += 1) settling.begin(`uid-${index}`);
    expect(settling.leftMs(cachedImage({ metadata: { uid: 'uid-21' }, status: {} }))).toBe(3_000);
    expect(settling.leftMs(bare)).toBe(3_000);
    now = 60_000;
    settling.begin('late');
    expect(settling.leftMs(cachedImage({ metadata: { uid: 'late' }, status: {} }))).toBe(1_000);
  });

  it('waits on while others are copied', () => {
    const settling = started();
    settling.begin('uid-2');
    now = 900;
    settling.leftMs(cachedImage({ metadata: { uid: 'uid-2' }, status: { cache: cacheStanza({ forUid: 'uid-2' }) } }));
    now = 1_500;
    expect(settling.leftMs(bare)).toBe(4_400);
    now = 5_900;
    expect(settling.leftMs(bare)).toBe(0);
  });
});
