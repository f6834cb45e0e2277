import { describe, expect, it } from '@jest/globals';
import { RegistryError, type RegistryErrorCode, type RepositoryClient } from '@kuik/registry';
import { renewedOnRefusal } from './renewed-on-refusal.ts';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const SIZE = { size: 7 };

/** What each client in turn says; with which `renew` it was made. */
function world(...says: (RegistryErrorCode | typeof SIZE)[]) {
  const made: boolean[] = [];
  const client = renewedOnRefusal(({ renew }) => {
    const said = says[made.length]!;
    made.push(renew);
    const answer = () =>
      typeof said === 'string' ? Promise.reject(new RegistryError(said, said)) : Promise.resolve(said);
    return { headBlob: answer, openBlob: answer } as unknown as RepositoryClient;
  });
  return { client, made };
}

describe('renewedOnRefusal', () => {
  it.each(['headBlob', 'openBlob'] as const)('%s: asks once when upstream answers', async (call) => {
    const { client, made } = world(SIZE);
    expect(await client[call](DIGEST)).toEqual(SIZE);
    expect(made).toEqual([false]);
  });

  it.each(['unauthorized', 'forbidden'] as const)('asks again with what the broker says now: %s', async (code) => {
    const { client, made } = world(code, SIZE);
    expect(await client.openBlob(DIGEST)).toEqual(SIZE);
    expect(made).toEqual([false, true]);
    const refused = world(code, code, SIZE);
    await expect(refused.client.headBlob(DIGEST)).rejects.toMatchObject({ code });
    expect(refused.made).toEqual([false, true]);
  });

  it.each(['not-found', 'rate-limited', 'timeout'] as const)('takes %s at its word', async (code) => {
    const { client, made } = world(code, SIZE);
    await expect(client.openBlob(DIGEST)).rejects.toMatchObject({ code });
    expect(made).toEqual([false]);
  });
});
