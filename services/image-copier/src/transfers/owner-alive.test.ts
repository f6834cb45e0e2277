import { describe, expect, it } from '@jest/globals';
import { ownerAlive, processName } from './owner-alive.ts';

describe('whether an owner is alive', () => {
  const [here, gone] = ['http://10.0.0.1:7440', 'http://10.0.0.2:7440'];
  it.each<[string, string, boolean]>([
    ['an address that answers', here, true],
    ['one that does not', gone, false],
    ['the process that answers there', processName(here, 'now'), true],
    ['one that was there before it', processName(here, 'before'), false],
    ['a process at an address that does not answer', processName(gone, 'now'), false],
  ])('%s', async (_what, owner, expected) => {
    const get = (address: string) => (address === here ? Promise.resolve('now') : Promise.reject(new Error('refused')));
    expect(await ownerAlive(get, () => 0)(owner)).toBe(expected);
  });

  it('is asked once a second, whoever wants to know', async () => {
    let [now, asked] = [0, 0];
    const alive = ownerAlive(
      () => Promise.resolve(String((asked += 1))),
      () => now,
    );
    expect([await alive(here), await alive(processName(here, '1')), asked]).toEqual([true, true, 1]);
    now = 1_000;
    expect([await alive(processName(here, '1')), asked]).toEqual([false, 2]);
  });

  it('is waited for longer where connections are taken: it may be busy', async () => {
    let answer = (): void => undefined;
    const get: Parameters<typeof ownerAlive>[0] = (address, signal, onConnected) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('left')));
        if (address !== here) return;
        onConnected();
        answer = () => resolve('now');
      });
    const alive = ownerAlive(get, () => 0, { awayMs: 50, busyMs: 60_000 });
    const busy = alive(here);
    expect(await alive(gone)).toBe(false);
    answer();
    expect(await busy).toBe(true);
    expect(await ownerAlive(get, () => 0, { awayMs: 60_000, busyMs: 50 })(here)).toBe(false);
  });
});
