import { expect, it } from '@jest/globals';
import { FIXED } from '@kuik/contracts';
import { RegistryError, type OpenBlob, type RepositoryClient } from '@kuik/registry';
import { sharedSource } from './shared-source.ts';

const READER = { host: 'registry.example.test', path: 'shop' };
const SMALL = FIXED.smallBlobBytes;
const blob = (from: string): OpenBlob => ({ contentType: from }) as OpenBlob;
const client = (from: string): RepositoryClient =>
  ({ openBlob: () => Promise.resolve(blob(from)) }) as Partial<RepositoryClient> as RepositoryClient;

it.each<[string, { size?: number }, () => Promise<{ blob: OpenBlob } | { at: string }>, string]>([
  ['a blob of unknown size', {}, () => Promise.resolve({ blob: blob('transfer') }), 'transfer'],
  ['a large blob', { size: SMALL + 1 }, () => Promise.resolve({ blob: blob('transfer') }), 'transfer'],
  ['a small blob', { size: SMALL }, () => Promise.resolve({ blob: blob('transfer') }), 'upstream'],
  ["another copier's blob", { size: SMALL + 1 }, () => Promise.resolve({ at: 'http://other' }), 'http://other'],
  ['a blob for which there is no room', {}, () => Promise.reject(new Error('no room')), 'upstream'],
])('%s is read from its place', async (_name, request, join, from) => {
  const source = sharedSource(client('upstream'), READER, { join, at: (address) => client(address) });
  expect((await source.openBlob('sha256:1', request)).contentType).toBe(from);
});

it("upstream's own word is not asked for twice", async () => {
  const join = (): never => {
    throw new RegistryError('forbidden', 'not yours');
  };
  const source = sharedSource(client('upstream'), READER, { join, at: client });
  await expect(source.openBlob('sha256:1')).rejects.toMatchObject({ code: 'forbidden' });
});
