import { describe, expect, it } from '@jest/globals';
import { createNkeySeed, nkeyAnswer, publicNkey } from './nkey.ts';

/** The bytes 0 to 31; what nkeys.js 1.1.0 and nats.js 2.29.3 make of it. */
const SEED = 'SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y';
const PUBLIC = 'UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK';
const SIGNED = 'Aj/HcjDZwFlZktcyYu97JAgWYctxzcaFc0SikCYG0tfchHcFVhub4zZnHvakWWBUcdmRZEtv5hiISSzXSYZ5BA==';

describe('an nkey of a user', () => {
  it('is what the library of NATS makes of the seed', () => {
    expect(publicNkey(SEED)).toBe(PUBLIC);
    expect(nkeyAnswer(SEED, 'nonce-1')).toEqual({ nkey: PUBLIC, sig: SIGNED });
    expect(nkeyAnswer(SEED)).toEqual({ nkey: PUBLIC, sig: '' });
  });

  it('is another one each time that one is made', () => {
    const seeds = Array.from({ length: 20 }, createNkeySeed);
    for (const seed of seeds) expect(seed).toMatch(/^SU[A-Z2-7]{56}$/);
    const known = new Set(seeds.map((seed) => publicNkey(seed)));
    expect(known.size).toBe(20);
    for (const key of known) expect(key).toMatch(/^U[A-Z2-7]{55}$/);
  });

  it.each([
    ['nothing', ''],
    ['a public key', PUBLIC],
    ['a letter changed', SEED.replace('CAMC', 'CBMC')],
    ['cut short', SEED.slice(0, -4)],
    ['what base32 has not', SEED.replace('K', '1')],
    ['lower case', SEED.toLowerCase()],
    ['something else', 'hunter2'],
  ])('is not made of %s, and the text is not told', (_what, text) => {
    const made = () => publicNkey(text);
    expect(made).toThrow('not the seed of a NATS user');
    if (text !== '') expect(made).not.toThrow(text);
  });
});
