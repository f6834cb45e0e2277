import { describe, expect, it } from '@jest/globals';
import { NO_CREDENTIALS, RegistryError, type RegistryErrorCode, type RepositoryClient } from '@kuik/registry';
import { renewedOnRefusal } from './renewed-on-refusal.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const SIZE = { size: 7 };

/** What each client in turn says; whether it was made with renewed credentials. */
function world(...says: (RegistryErrorCode | typeof SIZE)[]) {
  const made: boolean[] = [];
  const own = { ...NO_CREDENTIALS, renewed: { ...NO_CREDENTIALS } };
  const client = renewedOnRefusal(own, (source) => {
    const said = says[made.length]!;
    made.push(source === own.renewed);
    const answer = () =>
      typeof said === 'string' ? Promise.reject(new RegistryError(said, said)) : Promise.resolve(said);
    const reads = { headManifest: answer, openManifest: answer, headBlob: answer, openBlob: answer };
    return reads as unknown as RepositoryClient;
  });
  return { client, made };
}

describe('renewedOnRefusal', () => {
  it.each(['headManifest', 'openManifest', 'headBlob', 'openBlob'] as const)(
    '%s: asks once when upstream answers, twice when it refuses',
    async (call) => {
      const { client, made } = world(SIZE);
      expect(await client[call](DIGEST)).toEqual(SIZE);
      expect(made).toEqual([false]);
      const refused = world('unauthorized', SIZE);
      expect(await refused.client[call](DIGEST)).toEqual(SIZE);
      expect(refused.made).toEqual([false, true]);
    },
  );

  it.each(['unauthorized', 'forbidden'] as const)('asks again with what the broker says now: %s', async (code) => {
    const { client, made } = world(code, SIZE);
    expect(await client.openBlob(DIGEST)).toEqual(SIZE);
    expect(made).toEqual([false, true]);
    const refused = world(code, code, SIZE);
    await expect(refused.client.headBlob(DIGEST)).rejects.toMatchObject({ code });
    expect(refused.made).toEqual([false, true]);
  });

  it('is of no use without a broker', async () => {
    let asked = 0;
    const client = renewedOnRefusal(NO_CREDENTIALS, () => {
      const refuse = () => Promise.reject(new RegistryError('unauthorized', `${(asked += 1)}`));
      return { openManifest: refuse } as unknown as RepositoryClient;
    });
    await expect(client.openManifest('1')).rejects.toMatchObject({ code: 'unauthorized' });
    expect(asked).toBe(1);
  });

  it.each(['not-found', 'rate-limited', 'timeout'] as const)('takes %s at its word', async (code) => {
    const { client, made } = world(code, SIZE);
    await expect(client.openBlob(DIGEST)).rejects.toMatchObject({ code });
    expect(made).toEqual([false]);
  });
});
