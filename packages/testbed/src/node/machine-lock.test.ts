import { describe, expect, it } from '@jest/globals';
import { takeMachine } from './machine-lock.ts';

const onLinux = process.platform === 'linux' ? describe : describe.skip;
const never = new Promise<never>(() => undefined);
let n = 0;
const address = (): string => `\0kuik-test-lock-${process.pid}-${++n}`;

onLinux('the machine’s one place for a node', () => {
  it('goes to the next one when it is given back, who is told whom to wait for', async () => {
    const at = address();
    const told: number[] = [];
    const first = await takeMachine({ waitMs: 0, giveUp: never, onWait: () => undefined, address: at });
    const second = takeMachine({
      waitMs: 5_000,
      giveUp: never,
      onWait: (pid) => {
        told.push(pid);
        if (first !== 'given up') first.close();
      },
      address: at,
    });
    const taken = await second;
    expect(told).toEqual([process.pid]);
    if (taken !== 'given up') taken.close();
  });

  it('is not waited for longer than asked', async () => {
    const at = address();
    const first = await takeMachine({ waitMs: 0, giveUp: never, onWait: () => undefined, address: at });
    const late = takeMachine({ waitMs: 0, giveUp: never, onWait: () => undefined, address: at });
    await expect(late).rejects.toThrow(`process ${process.pid} had it`);
    if (first !== 'given up') first.close();
  });

  it('is not waited for by somebody who is gone', async () => {
    const at = address();
    const first = await takeMachine({ waitMs: 0, giveUp: never, onWait: () => undefined, address: at });
    const second = takeMachine({ waitMs: 60_000, giveUp: Promise.resolve(), onWait: () => undefined, address: at });
    expect(await second).toBe('given up');
    if (first !== 'given up') first.close();
  });
});
