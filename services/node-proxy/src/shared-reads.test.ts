import { describe, expect, it } from '@jest/globals';
import {
  RegistryError,
  type BlobRequest,
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

const WAITS = { timeouts: { connectMs: 1, idleMs: 1 }, patienceMs: 4, boundMs: () => 10_000 };

/** Two copiers that do not answer the first `away` times that they are asked; each time takes `stepMs`. */
function world(away: number, stepMs = 0, code: RegistryErrorCode = 'refused', status?: number) {
  const told = { now: 0, asked: 0 };
  const counted: SharedResult[] = [];
  const owners = new Owners(() => 0);
  for (const n of [1, 2]) owners.told({ url: `http://10.0.0.${n}:7440` });
  const openBlob = (): Promise<OpenBlob> => {
    told.now += stepMs;
    return (told.asked += 1) > away
      ? Promise.resolve(shared)
      : Promise.reject(new RegistryError(code, 'away', status === undefined ? {} : { status }));
  };
  const reads = new SharedReads({
    registry: { cache: () => ({ openBlob }) } as unknown as Pick<RegistryAccess, 'cache'>,
    cache: { url: 'http://cache' },
    owners,
    ...WAITS,
    processAt: () => Promise.resolve('one'),
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
    ['by the next one when the first has no room', 1, shared, 'shared'],
    ['alone when none has room', 2, alone, 'alone-no-room'],
  ] as const)('is read %s', async (_what, full, from, count) => {
    const { told, counted, client, other } = world(full, 0, 'server-error', 507);
    expect(await client.openBlob(DIGEST)).toBe(from);
    expect([counted, told.asked]).toEqual([[count], 2]);
    // It answered: it is asked for the next blob.
    expect(await other.openBlob(DIGEST)).toBe(shared);
  });

  it('is read alone when the first one left no time for another', async () => {
    const { told, counted, client } = world(1, 9_999);
    expect(await client.openBlob(DIGEST)).toBe(alone);
    expect([counted, told.asked]).toEqual([['alone-owner-away'], 1]);
  });

  it.each(['refused', 'timeout'] as const)(
    'is read alone from any registry while copiers cannot be reached: %s',
    async (code) => {
      const { client, other } = world(2, 0, code);
      expect(await client.openBlob(DIGEST)).toBe(alone);
      expect(await other.openBlob(DIGEST)).toBe(alone);
    },
  );
});

/** Three copiers; all send on to the one that is `owner`, where nobody can connect. */
function behindDoors() {
  const tried: string[] = [];
  const owner = 'http://10.0.0.9:7440';
  const owners = new Owners(() => 0);
  for (const url of [owner, 'http://10.0.0.1:7440', 'http://10.0.0.2:7440']) owners.told({ url });
  const reads = new SharedReads({
    registry: {
      cache: ({ url }) =>
        ({
          openBlob: (_digest: string, { onSentOn }: BlobRequest) => {
            tried.push(url);
            if (url !== owner) onSentOn!(new URL(`${owner}/v2/app`));
            tried.push('owner');
            return Promise.reject(new RegistryError('refused', 'nobody there'));
          },
        }) as unknown as RepositoryClient,
    },
    cache: { url: 'http://cache' },
    owners,
    ...WAITS,
    processAt: () => Promise.resolve('one'),
    count: () => undefined,
    now: () => 0,
  });
  const client = reads.over(
    { openBlob: () => Promise.resolve(alone) } as unknown as RepositoryClient,
    app,
    false,
    'r-1',
  );
  /** The digest of a blob whose first door is not the owner itself. */
  const blobs = Array.from({ length: 20 }, (_, n) => `sha256:${String(n).padStart(64, '0')}`);
  const digests = blobs.filter((digest) => owners.order(app.host, digest)[0] !== owner);
  return { tried, client, digests };
}

describe('an owner that nobody can connect to', () => {
  it('is tried once, whoever sends there', async () => {
    const { tried, client, digests } = behindDoors();
    for (const digest of digests) expect(await client.openBlob(digest)).toBe(alone);
    expect(tried.filter((one) => one === 'owner')).toEqual(['owner']);
    // Of the first blob two are asked, of each other one: the next one sends to the same.
    expect(tried.length).toBe(1 + 2 + digests.length - 1);
  });

  it('is tried again for the rest of a body: it may be back', async () => {
    const { tried, client, digests } = behindDoors();
    const stop = new AbortController();
    await client.openBlob(digests[0]!);
    const rest = client.openBlob(digests[0]!, { offset: 7, signal: stop.signal });
    stop.abort();
    expect(await rest).toBe(alone);
    expect(tried.filter((one) => one === 'owner').length).toBe(2);
  });
});

/** Two copiers that answer only what `release` says, and what is asked of them. */
function waiting(
  processAt: (origin: string, looks: number) => string | undefined | Promise<undefined>,
  { sentOn = false } = {},
) {
  const told = { now: 0, looks: 0 };
  const counted: SharedResult[] = [];
  const asked: { url: string; signal: AbortSignal | undefined; release: () => void }[] = [];
  const owners = new Owners(() => 0);
  for (const n of [1, 2]) owners.told({ url: `http://10.0.0.${n}:7440` });
  const [first, second] = owners.order(app.host, DIGEST) as [string, string];
  const cache: RegistryAccess['cache'] = ({ url }) =>
    ({
      openBlob: (_digest: string, { signal, onSentOn }: BlobRequest) =>
        new Promise<OpenBlob>((resolve, reject) => {
          asked.push({ url, signal, release: () => resolve(shared) });
          if (sentOn && url === first) onSentOn!(new URL(`${second}/v2/app`));
          signal!.addEventListener('abort', () => reject(new RegistryError('aborted', 'left')));
        }),
    }) as unknown as RepositoryClient;
  const reads = new SharedReads({
    registry: { cache },
    cache: { url: 'http://cache' },
    owners,
    ...WAITS,
    processAt: (origin) => Promise.resolve(processAt(origin, (told.looks += 1))),
    count: (result) => counted.push(result),
    now: () => told.now,
  });
  const upstream = { openBlob: () => Promise.resolve(alone) } as unknown as RepositoryClient;
  const client = reads.over(upstream, app, false, 'r-1');
  const names = (): string[] => asked.map(({ url }) => (url === first ? 'first' : 'second'));
  const spared = (host: string): boolean[] => [first, second].map((url) => !owners.order(host, DIGEST).includes(url));
  return { told, counted, asked, first, client, names, spared };
}

describe('a copier that does not answer yet', () => {
  it('is waited for as long as it lives', async () => {
    const world = waiting((_origin, looks) => {
      if (looks === 5) world.asked[0]!.release();
      return 'one';
    });
    expect(await world.client.openBlob(DIGEST)).toBe(shared);
    expect([world.counted, world.names()]).toEqual([['shared'], ['first']]);
    expect(world.asked[0]!.signal!.aborted).toBe(false);
  });

  it.each([
    ['between two looks', 10_000, 'one'],
    ['while the copier is looked at', 9_999, new Promise<undefined>(() => undefined)],
  ])(
    'is left when the registry had its time, %s, and nobody else is asked: he would wait for the same',
    async (_when, at, shows) => {
      const world = waiting((_origin, looks) => {
        if (looks === 3) world.told.now = at;
        return looks < 4 ? 'one' : shows;
      });
      expect(await world.client.openBlob(DIGEST)).toBe(alone);
      expect([world.counted, world.names()]).toEqual([['alone-upstream-silent'], ['first']]);
      expect(world.asked[0]!.signal!.aborted).toBe(true);
      expect([world.spared(app.host), world.spared('other.test')]).toEqual([
        [true, false],
        [false, false],
      ]);
    },
  );

  it.each([
    ['shows no sign of life', () => undefined],
    ['is another process than the one that was asked', (looks: number) => (looks % 2 === 1 ? 'one' : 'two')],
  ])('is left when it %s, for any registry', async (_what, processAt) => {
    const world = waiting((_origin, looks) => processAt(looks));
    expect(await world.client.openBlob(DIGEST)).toBe(alone);
    expect([world.counted, world.names()]).toEqual([['alone-owner-away'], ['first', 'second']]);
    expect(world.asked.map(({ signal }) => signal!.aborted)).toEqual([true, true]);
    expect(world.spared('other.test')).toEqual([true, true]);
  });

  it('is the one that it was sent on to, which is not waited for again', async () => {
    const world = waiting((origin) => (origin === world.first ? 'one' : undefined), { sentOn: true });
    expect(await world.client.openBlob(DIGEST)).toBe(alone);
    expect([world.counted, world.names()]).toEqual([['alone-owner-away'], ['first']]);
    expect(world.spared('other.test')).toEqual([false, true]);
  });

  it('holds nobody who leaves', async () => {
    const client = new AbortController();
    const world = waiting((_origin, looks) => {
      if (looks === 2) client.abort();
      return 'one';
    });
    await expect(world.client.openBlob(DIGEST, { signal: client.signal })).rejects.toMatchObject({ code: 'aborted' });
    expect(world.counted).toEqual([]);
  });
});
