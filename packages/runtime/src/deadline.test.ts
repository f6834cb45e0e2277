import { describe, expect, it } from '@jest/globals';
import { inTime, withDeadline } from './deadline.ts';

const never = new Promise<never>(() => undefined);

describe('withDeadline', () => {
  it('gives the outcome or a deadline error', async () => {
    await expect(withDeadline('it', 1000, Promise.resolve(1))).resolves.toBe(1);
    await expect(withDeadline('it', 1000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    await expect(withDeadline('it', 5, never)).rejects.toMatchObject({
      code: 'deadline',
      message: 'it took longer than 5 ms',
    });
  });
});

describe('inTime', () => {
  it('gives what came, or that it was late', async () => {
    expect(await inTime(1000, Promise.resolve(1))).toEqual({ late: false, value: 1 });
    await expect(inTime(1000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await inTime(0, never)).toEqual({ late: true });
  });

  it('swallows a rejection that comes later', async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      expect(await inTime(0, promise)).toEqual({ late: true });
      reject(new Error('too late'));
      await new Promise((resolve) => setImmediate(resolve));
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });
});
