import { describe, expect, it } from '@jest/globals';
import { RegistryError, SparseIndexRefused } from '@kuik/registry';
import { REFUSED_FOR_MS, SparseIndexes } from './sparse-indexes.ts';

const refusal = new SparseIndexRefused({ host: 'cache', repository: 'a' }, [], new RegistryError('rejected', 'no'));

describe('SparseIndexes', () => {
  it('copies everything when the registry refuses, and at once for an hour', async () => {
    let now = 0;
    const sparse = new SparseIndexes(() => now);
    const asked: [string | undefined, boolean][] = [];
    const copy = (wants: string | undefined, again: boolean): Promise<string> => {
      asked.push([wants, again]);
      return wants === undefined ? Promise.resolve('copied') : Promise.reject(refusal);
    };
    expect(await sparse.copying('amd64', copy)).toBe('copied');
    expect(await sparse.copying('amd64', copy)).toBe('copied');
    expect(sparse.narrowed('amd64')).toBeUndefined();
    now = REFUSED_FOR_MS;
    expect(sparse.narrowed('amd64')).toBe('amd64');
    await sparse.copying('amd64', copy);
    expect(asked).toEqual([
      ['amd64', false],
      [undefined, true],
      [undefined, false],
      ['amd64', false],
      [undefined, true],
    ]);
  });

  it.each([
    ['another refusal', 'amd64', new RegistryError('rejected', 'no')],
    ['a refusal of everything', undefined, refusal],
  ])('passes %s on', async (_name, wants, error) => {
    let tries = 0;
    const copy = (): Promise<never> => {
      tries += 1;
      return Promise.reject(error);
    };
    await expect(new SparseIndexes(() => 0).copying(wants, copy)).rejects.toBe(error);
    expect(tries).toBe(1);
  });
});
