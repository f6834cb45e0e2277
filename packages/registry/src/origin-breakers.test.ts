import { describe, expect, it } from '@jest/globals';
import { RegistryError } from './errors.ts';
import { OriginBreakers } from './origin-breakers.ts';
import type { RegistryErrorCode } from './port.ts';

const QUAY = new URL('https://quay.io/v2/');
const CDN = new URL('https://cdn.quay.io/');

function world() {
  const clock = { now: 0 };
  const told: string[] = [];
  const breakers = new OriginBreakers({
    failures: 3,
    openMs: 5000,
    now: () => clock.now,
    onOpen: (origin) => told.push(`open ${origin}`),
    onSpared: (origin) => told.push(`spared ${origin}`),
  });
  let sent = 0;
  /** What becomes of a request that would end so: `ok`, the code of its error, and how many were really made by now. */
  const ask = async (url: URL, end: 'ok' | RegistryErrorCode): Promise<[string, number]> => {
    const send = (): Promise<string> => {
      sent += 1;
      return end === 'ok' ? Promise.resolve('ok') : Promise.reject(new RegistryError(end, 'no'));
    };
    const got = await breakers.guard(url, send).catch((error: RegistryError) => error.code);
    return [got, sent];
  };
  return { clock, told, breakers, ask };
}

describe('OriginBreakers', () => {
  it('spares an origin that did not answer three times in a row, and no other one', async () => {
    const { ask, told, breakers } = world();
    for (let time = 1; time <= 3; time += 1) expect(await ask(QUAY, 'timeout')).toEqual(['timeout', time]);
    expect(await ask(QUAY, 'ok')).toEqual(['timeout', 3]);
    expect(await ask(CDN, 'ok')).toEqual(['ok', 4]);
    expect([breakers.open, told]).toEqual([1, ['open https://quay.io', 'spared https://quay.io']]);
  });

  it('says when to come back', async () => {
    const { ask, breakers } = world();
    for (let time = 0; time < 3; time += 1) await ask(QUAY, 'timeout');
    const error = breakers.guard(QUAY, () => Promise.resolve('ok'));
    await expect(error).rejects.toMatchObject({ code: 'timeout', retry: true, retryAfterMs: 5000 });
  });

  it.each(['ok', 'refused', 'tls', 'dns'] as const)('begins anew after one that ended by: %s', async (end) => {
    const { ask, breakers } = world();
    for (let time = 0; time < 2; time += 1) await ask(QUAY, 'timeout');
    await ask(QUAY, end);
    for (let time = 0; time < 2; time += 1) await ask(QUAY, 'timeout');
    expect(breakers.open).toBe(0);
  });

  it('learns nothing from a caller who gave up', async () => {
    const { ask, breakers } = world();
    for (const end of ['timeout', 'timeout', 'aborted', 'timeout'] as const) await ask(QUAY, end);
    expect(breakers.open).toBe(1);
  });

  it('lets one request probe when the time is over, and goes by its outcome', async () => {
    const { ask, clock, breakers, told } = world();
    for (let time = 0; time < 3; time += 1) await ask(QUAY, 'timeout');
    clock.now = 5000;
    expect(await ask(QUAY, 'timeout')).toEqual(['timeout', 4]);
    expect(await ask(QUAY, 'ok')).toEqual(['timeout', 4]);
    clock.now = 10_000;
    expect(await ask(QUAY, 'ok')).toEqual(['ok', 5]);
    expect(await ask(QUAY, 'ok')).toEqual(['ok', 6]);
    expect(breakers.open).toBe(0);
    expect(told.filter((line) => line.startsWith('open'))).toHaveLength(1);
  });
});
