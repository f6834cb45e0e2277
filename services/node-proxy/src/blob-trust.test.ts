import { describe, expect, it } from '@jest/globals';
import { BlobTrust, RIGHT_FOR_MS, SOON_MS, trustOf, WRONG_FOR_MS, type BlobPast, type Trust } from './blob-trust.ts';

const NOW = 100_000_000;
const ago = (ms: number): number => NOW - ms;

describe('trustOf', () => {
  it.each<[string, BlobPast, Trust]>([
    ['nothing is known', {}, 'trusted'],
    ['it was delivered whole a moment ago', { deliveredMs: ago(SOON_MS) }, 'doubted'],
    ['it was delivered whole long ago', { deliveredMs: ago(SOON_MS + 1) }, 'trusted'],
    ['and found right since', { deliveredMs: ago(5_000), rightMs: ago(RIGHT_FOR_MS) }, 'trusted'],
    ['and found right too long ago', { deliveredMs: ago(5_000), rightMs: ago(RIGHT_FOR_MS + 1) }, 'doubted'],
    ['it was found wrong', { wrongMs: ago(WRONG_FOR_MS) }, 'wrong'],
    ['it was found wrong, and may have been mended since', { wrongMs: ago(WRONG_FOR_MS + 1) }, 'doubted'],
  ])('when %s', (_name, past, trust) => expect(trustOf(past, NOW)).toBe(trust));
});

describe('BlobTrust', () => {
  const digest = `sha256:${'a'.repeat(64)}`;

  it('doubts what is asked for again, once', () => {
    const trust = new BlobTrust(() => NOW);
    expect(trust.of(digest)).toBe('trusted');
    trust.delivered(digest, false);
    expect(trust.of(digest)).toBe('doubted');
    trust.delivered(digest, true);
    trust.delivered(digest, false);
    expect(trust.of(digest)).toBe('trusted');
  });

  it('passes over what was wrong, until it was found right', () => {
    let now = NOW;
    const trust = new BlobTrust(() => now);
    trust.delivered(digest, true);
    trust.wrong(digest);
    expect(trust.of(digest)).toBe('wrong');
    now += WRONG_FOR_MS + 1;
    expect(trust.of(digest)).toBe('doubted');
    trust.delivered(digest, true);
    expect(trust.of(digest)).toBe('trusted');
  });

  it('doubts for one at a time', () => {
    let now = NOW;
    const trust = new BlobTrust(() => now);
    trust.delivered(digest, false);
    const told = trust.hashing(digest);
    expect(trust.of(digest)).toBe('trusted');
    told();
    expect(trust.of(digest)).toBe('doubted');
    trust.wrong(digest);
    now += WRONG_FOR_MS + 1;
    trust.hashing(digest);
    expect(trust.of(digest)).toBe('wrong');
  });

  it('says nothing of other blobs', () => {
    const trust = new BlobTrust(() => NOW);
    trust.wrong(digest);
    expect(trust.of(`sha256:${'b'.repeat(64)}`)).toBe('trusted');
  });
});
