import { describe, expect, it } from '@jest/globals';
import { renewal } from './renewal.ts';
import { RenewedLogins } from './renewed-logins.ts';

const HALF_A_DAY = 12 * 3_600_000;
const known = { askedAtMs: 0, expiresAtMs: HALF_A_DAY };

describe('renewal', () => {
  it.each([
    ['nothing known', undefined, 0, false, { ask: true, reason: 'unknown', fallBack: false }],
    ['new', known, 1, false, { ask: false, reason: 'fresh' }],
    ['just before four fifths', known, HALF_A_DAY * 0.8 - 1, false, { ask: false, reason: 'fresh' }],
    ['at four fifths', known, HALF_A_DAY * 0.8, false, { ask: true, reason: 'ageing', fallBack: true }],
    ['at the end', known, HALF_A_DAY, false, { ask: true, reason: 'expired', fallBack: false }],
    ['refused', known, 10_000, true, { ask: true, reason: 'refused', fallBack: false }],
    ['refused again at once', known, 9_999, true, { ask: false, reason: 'just-renewed' }],
    [
      'a short life, refused',
      { askedAtMs: 0, expiresAtMs: 1_000 },
      100,
      true,
      { ask: true, reason: 'refused', fallBack: false },
    ],
    ['refused after its end', known, HALF_A_DAY, true, { ask: true, reason: 'expired', fallBack: false }],
  ])('%s', (_name, lifetime, now, forced, verdict) => {
    expect(renewal(lifetime, now, { forced })).toEqual(verdict);
  });
});

/** A source whose tokens live for 1000 ms. */
function world() {
  const clock = { now: 0 };
  const state = { asked: 0, fails: false };
  const logins = new RenewedLogins(() => clock.now);
  const ask = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    state.asked += 1;
    if (state.fails) throw new Error('away');
    const credential = { kind: 'basic', username: 'u', password: `p${state.asked}` } as const;
    return { key: 'k', logins: [{ credential, expiresAtMs: clock.now + 1_000 }], expiresAtMs: clock.now + 1_000 };
  };
  const get = async (options: { renew?: boolean } = {}): Promise<string> => {
    const [login] = await logins.get(['k'], ask, options);
    return login?.credential.kind === 'basic' ? login.credential.password : '';
  };
  return { clock, state, get };
}

describe('RenewedLogins', () => {
  it('asks once for many, again at four fifths, and never lets a life run out', async () => {
    const { clock, state, get } = world();
    expect(new Set(await Promise.all(Array.from({ length: 20 }, () => get())))).toEqual(new Set(['p1']));
    for (let at = 0; at <= 10_000; at += 50) {
      clock.now = at;
      await get();
    }
    // Ten lives of 1000 ms, each renewed after 800.
    expect(state.asked).toBe(13);
  });

  it('goes on with the old one while a new one cannot be had, and asks no more often than every tenth of its life', async () => {
    const { clock, state, get } = world();
    await get();
    state.fails = true;
    clock.now = 800;
    expect(await get()).toBe('p1');
    clock.now = 850;
    expect(await get()).toBe('p1');
    expect(state.asked).toBe(2);
    clock.now = 1_000;
    await expect(get()).rejects.toThrow('away');
  });

  it('remembers for a while that nothing could be had', async () => {
    const { clock, state, get } = world();
    state.fails = true;
    await expect(get()).rejects.toThrow('away');
    await expect(get()).rejects.toThrow('away');
    expect(state.asked).toBe(1);
    state.fails = false;
    clock.now = 15_000;
    expect(await get()).toBe('p2');
  });

  it('is renewed once when refused', async () => {
    const { clock, state, get } = world();
    await get();
    clock.now = 500;
    expect(await get({ renew: true })).toBe('p2');
    expect(await get({ renew: true })).toBe('p2');
    expect(state.asked).toBe(2);
  });
});
