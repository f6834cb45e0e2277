import { describe, expect, it } from '@jest/globals';
import {
  RegistryError,
  type OpenBlob,
  type RegistryAccess,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import { Owners } from './owners.ts';
import { SharedReads, type SharedResult } from './shared-reads.ts';

const app = { host: 'up.test', path: 'app' };
const DIGEST = `sha256:${'a'.repeat(64)}`;
const [shared, alone] = [{ totalSize: 1 }, { totalSize: 2 }] as [OpenBlob, OpenBlob];

/** Two copiers that do not answer the first `away` times that they are asked; each time takes `stepMs`. */
function world(away: number, stepMs = 0, code: RegistryErrorCode = 'refused') {
  const told = { now: 0, asked: 0 };
  const counted: SharedResult[] = [];
  const owners = new Owners(() => 0);
  for (const n of [1, 2]) owners.told({ url: `http://10.0.0.${n}:7440` });
  const openBlob = (): Promise<OpenBlob> => {
    told.now += stepMs;
    return (told.asked += 1) > away ? Promise.resolve(shared) : Promise.reject(new RegistryError(code, 'away'));
  };
  const reads = new SharedReads({
    registry: { cache: () => ({ openBlob }) } as unknown as Pick<RegistryAccess, 'cache'>,
    cache: { url: 'http://cache' },
    owners,
    timeouts: { connectMs: 1, headersMs: 1, idleMs: 1 },
    count: (result) => counted.push(result),
    now: () => told.now,
  });
  const upstream = { openBlob: () => Promise.resolve(alone) } as unknown as RepositoryClient;
  const over = (host: string) => reads.over(upstream, { ...app, host }, false, 'r-1');
  return { told, counted, client: over(app.host), other: over('other.test') };
}

describe('a blob that copiers read for everybody', () => {
  it.each([
    ['begins alone when none answers: its client waits', 0, 2, 0, alone, 'alone-owner-away', 2],
    ['goes on when one is back: they are asked again, those that did not answer as well', 7, 3, 0, shared, 'shared', 4],
    ['goes on alone when none comes back', 7, Infinity, 1_300, alone, 'alone-owner-away', 4],
  ] as const)('%s', async (_what, offset, away, stepMs, from, count, asked) => {
    const { told, counted, client } = world(away, stepMs);
    expect(await client.openBlob(DIGEST, { offset })).toBe(from);
    expect([counted, told.asked]).toEqual([[count], asked]);
  });

  it.each([
    ['goes on being read together from other registries when copiers are silent about one', 'timeout', shared],
    ['is read alone from any while copiers cannot be reached', 'refused', alone],
  ] as const)('%s', async (_what, code, from) => {
    const { client, other } = world(2, 0, code);
    expect(await client.openBlob(DIGEST)).toBe(alone);
    expect(await client.openBlob(DIGEST)).toBe(alone);
    expect(await other.openBlob(DIGEST)).toBe(from);
  });
});
