import { expect, it } from '@jest/globals';
import { AccountNames } from './account-names.ts';

const basic = (password: string) =>
  ({ label: 'acme/regcred', of: 'secret', credential: { kind: 'basic', username: 'alice', password } }) as const;

it('a name tells nobody who tries passwords which it was made of, and costs us one try', async () => {
  const names = new AccountNames();
  const name = await names.of('quay.io', basic('secret'));
  expect(name).toMatch(/^[0-9a-f]{32}$/);

  const tryingMs = await took(async () => {
    for (let tried = 0; tried < 20; tried += 1) expect(await names.of('quay.io', basic(`${tried}`))).not.toBe(name);
  });
  expect(tryingMs).toBeGreaterThan(100);
  const knowingMs = await took(async () => {
    for (let asked = 0; asked < 1_000; asked += 1) expect(await names.of('quay.io', basic('secret'))).toBe(name);
  });
  expect(knowingMs).toBeLessThan(tryingMs * 5);
}, 60_000);

it('a token that names no end keeps its name', async () => {
  const names = new AccountNames();
  const token = (expiresAtMs: number) =>
    names.of('quay.io', { label: 'a/b', of: 'secret', credential: { kind: 'bearer', token: 't', expiresAtMs } });
  expect(await token(1)).toBe(await token(2));
});

async function took(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
