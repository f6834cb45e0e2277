import { describe, expect, it } from '@jest/globals';
import { GiveUp, until } from './until.ts';

describe('until', () => {
  it('gives the first value that is neither undefined nor false, failures in between forgiven', async () => {
    const answers = [undefined, false, new Error('not yet'), 0];
    const check = (): number | undefined | false => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer as number | undefined | false;
    };
    expect(await until(check, { what: 'a number', everyMs: 1 })).toBe(0);
  });

  it('looks less often the longer it waits, unless it is told how often', async () => {
    const looks: Record<string, number> = {};
    const count = async (name: string, pace: object): Promise<void> => {
      const look = (): false => ((looks[name] = (looks[name] ?? 0) + 1), false);
      await until(look, { what: 'nothing', timeoutMs: 400, ...pace }).catch(() => undefined);
    };
    await Promise.all([count('longer', {}), count('told', { everyMs: 20 })]);
    expect(looks['longer']).toBeLessThan(looks['told']!);
  });

  it('says what it waited for and what was wrong last', async () => {
    const failing = until(() => Promise.reject(new Error('closed')), { what: 'the door', timeoutMs: 5, everyMs: 1 });
    await expect(failing).rejects.toThrow('waited 0.005 s for the door: closed');
    await expect(until(() => false, { what: 'rain', timeoutMs: 5, everyMs: 1 })).rejects.toThrow(/for rain$/);
  });

  it('ends at once when waiting is pointless or nobody waits any more', async () => {
    const pointless = until(() => Promise.reject(new GiveUp('it is dead')), { what: 'x', everyMs: 1 });
    await expect(pointless).rejects.toThrow('it is dead');
    const gone = until(() => false, { what: 'x', everyMs: 1, signal: AbortSignal.abort(new Error('left')) });
    await expect(gone).rejects.toThrow('left');
  });
});
