import { describe, expect, it } from '@jest/globals';
import type { CachedImage, CacheStanza, ImageServed } from '@kuik/contracts';
import { RegistryError, type RepositoryClient } from '@kuik/registry';
import { memoryRegistry } from '@kuik/registry/memory';
import { makeIndex } from '@kuik/testbed';
import { createMetrics, silentLogger, systemClock } from '@kuik/runtime';
import { at, condemned, DIGEST, imageOf, NOW } from './fixtures.ts';
import { Presence } from './presence-loop.ts';
import { dueForALook } from './presence.ts';

const HOUR = 3_600_000;
const kept = (name: string, copiedMinutes: number, cache: object = {}) =>
  imageOf({
    name,
    status: { cache: { forUid: `uid-${name}`, digest: DIGEST, copiedAt: at(copiedMinutes), ...cache } },
  });
const names = (images: { metadata: { name: string } }[]): string[] => images.map(({ metadata }) => metadata.name);

describe('which images are looked for in the cache', () => {
  const round = { now: NOW, everyMs: HOUR, roundMs: HOUR };
  const old = kept('old', -200);
  it.each<[string, Parameters<typeof dueForALook>[0], [string, number][], string[]]>([
    ['longest ago first', [kept('newer', -100), old, kept('just', -10)], [], ['old', 'newer']],
    ['looked at lately', [old, kept('newer', -100)], [['uid-old', NOW - HOUR / 2]], ['newer']],
    ['looked at long ago', [old, kept('newer', -100)], [['uid-old', NOW - 1.2 * HOUR]], ['newer', 'old']],
    ['never copied', [imageOf({ name: 'none', status: { cache: { forUid: 'uid-none' } } })], [], []],
    ['on its way out', [imageOf({ status: { removal: condemned(1) } })], [], []],
    ['found without a time', [kept('found', 0, { copiedAt: undefined })], [], ['found']],
  ])('%s', (_what, images, looked, expected) => {
    expect(names(dueForALook(images, new Map(looked), round))).toEqual(expected);
  });

  it('are as many as give each its turn in time', () => {
    const images = Array.from({ length: 100 }, (_, i) => kept(`app-${i}`, -1000 - i));
    expect(dueForALook(images, new Map(), { ...round, roundMs: HOUR / 50 })).toHaveLength(2);
    expect(dueForALook(images, new Map(), { ...round, roundMs: 1 })).toHaveLength(1);
  });
});

function looking({ images, cache, leads = true, roundMs = HOUR }: Looking) {
  const told: ImageServed[] = [];
  const presence = new Presence({
    images: { values: () => images.values(), synced: () => true },
    leadership: { isLeader: () => leads },
    cache,
    publish: (report) => Promise.resolve(void told.push(report)),
    clock: { ...systemClock, now: () => NOW },
    log: silentLogger,
    metrics: createMetrics({ service: 'gc', defaults: false }),
    everyMs: HOUR,
    roundMs,
  });
  return { told, presence };
}
interface Looking {
  readonly images: readonly CachedImage[];
  readonly cache: (repository: string) => RepositoryClient;
  readonly leads?: boolean;
  readonly roundMs?: number;
}

describe('a look', () => {
  function world(answers: Record<string, 'there' | 'lost' | 'away'>, more: Pick<Looking, 'leads' | 'roundMs'> = {}) {
    let asked = 0;
    const cache = (repository: string) =>
      ({
        openManifest() {
          asked += 1;
          const answer = answers[repository];
          const bytes = Buffer.from('{"layers":[]}');
          if (answer === 'there') return Promise.resolve({ digest: DIGEST, mediaType: '', size: bytes.length, bytes });
          return Promise.reject(new RegistryError(answer === 'lost' ? 'not-found' : 'refused', String(answer)));
        },
      }) as Partial<RepositoryClient> as RepositoryClient;
    const images = Object.keys(answers).map((name, i) => kept(name.split('/').at(-1)!, -1000 + i));
    return { ...looking({ images, cache, ...more }), asked: () => asked };
  }
  const signal = new AbortController().signal;

  it('tells what is not there, and looks once', async () => {
    const { told, presence, asked } = world({ 'docker.io/library/a': 'there', 'docker.io/library/b': 'lost' });
    await presence.round(signal);
    await presence.round(signal);
    expect(told.map(({ missing }) => missing)).toEqual([
      [{ repository: 'docker.io/library/b', digest: DIGEST, at: at(0) }],
    ]);
    expect(asked()).toBe(2);
  });

  it('calls nothing missing while the cache cannot be asked, and looks again', async () => {
    const { told, presence } = world({ 'docker.io/library/a': 'lost', 'docker.io/library/b': 'away' });
    await expect(presence.round(signal)).rejects.toMatchObject({ code: 'refused' });
    expect(told[0]?.missing).toHaveLength(1);
    await expect(presence.round(signal)).rejects.toMatchObject({ code: 'refused' });
    expect(told).toHaveLength(1);
  });

  it('at one that the cache fails on does not hold the others up', async () => {
    const answers = { 'docker.io/library/a': 'away', 'docker.io/library/b': 'lost' } as const;
    const { told, presence } = world(answers, { roundMs: 1 });
    await expect(presence.round(signal)).rejects.toMatchObject({ code: 'refused' });
    await presence.round(signal);
    expect(told).toHaveLength(1);
    await expect(presence.round(signal)).rejects.toMatchObject({ code: 'refused' });
  });

  it('is the leader’s', async () => {
    const { presence, asked } = world({ 'docker.io/library/a': 'lost' }, { leads: false });
    await presence.round(signal);
    expect(asked()).toBe(0);
  });
});

describe('what a look at an index finds', () => {
  const NAME = 'docker.io/library/app';
  const ALL = ['linux/amd64', 'linux/arm64'];
  const partly: Partial<CacheStanza> = { platforms: ['linux/amd64'], platformsOnDemand: ['linux/arm64'] };
  const index = makeIndex({ seed: 'presence', platforms: ALL });
  /** In the order of the index: its platforms, what attests them, itself. */
  const PARTS = ['amd64', 'arm64', 'attests amd64', 'attests arm64', 'root'] as const;
  type Part = (typeof PARTS)[number];

  it.each<[string, Partial<CacheStanza>, { manifests?: Part[]; blobsOf?: Part[] }, 'there' | 'missing']>([
    ['nothing lost', { platforms: ALL }, {}, 'there'],
    ['nothing lost, when its stanza names no platforms', {}, {}, 'there'],
    ['a lost manifest', { platforms: ALL }, { manifests: ['arm64'] }, 'missing'],
    ['a lost layer', { platforms: ALL }, { blobsOf: ['arm64'] }, 'missing'],
    ['a lost layer, when its stanza names no platforms', {}, { blobsOf: ['arm64'] }, 'missing'],
    [
      'nothing lost, when others are on demand',
      partly,
      { manifests: ['arm64', 'attests arm64'], blobsOf: ['arm64'] },
      'there',
    ],
    ['a lost root', partly, { manifests: ['root'] }, 'missing'],
    ['a lost manifest of the platform that is kept', partly, { manifests: ['amd64'] }, 'missing'],
    ['a lost layer of the platform that is kept', partly, { blobsOf: ['amd64'] }, 'missing'],
    ['a lost attestation of the platform that is kept', partly, { manifests: ['attests amd64'] }, 'missing'],
    ['a lost layer of an attestation', partly, { blobsOf: ['attests amd64'] }, 'missing'],
    [
      'nothing lost, when upstream lacked a platform',
      { platforms: ['linux/amd64'] },
      { manifests: ['arm64'] },
      'there',
    ],
    [
      'nothing lost, when one of two manifests of a platform is on demand',
      { platforms: ['linux/amd64', 'linux/arm64'], platformsOnDemand: ['linux/arm64'] },
      { manifests: ['arm64'] },
      'there',
    ],
  ])('%s', async (_what, stanza, { manifests: lost = [], blobsOf = [] }, found) => {
    const { digest, manifests, blobs } = await index;
    const part = (name: Part) => manifests[PARTS.indexOf(name)]!;
    const gone = new Set(lost.map((name) => part(name).digest));
    const registry = memoryRegistry({
      intercept: ({ operation, reference }) => {
        const hidden = operation === 'open-manifest' && gone.has(reference!);
        if (hidden) throw new RegistryError('not-found', 'lost', { status: 404 });
      },
    });
    const client = registry.repository('cache.test', NAME);
    for (const blob of blobs) registry.putBlob('cache.test', NAME, Buffer.concat([...blob.open()]), blob.digest);
    for (const manifest of manifests) await client.putManifest(manifest.digest, manifest.bytes, manifest.mediaType);
    for (const name of blobsOf) {
      const { layers } = JSON.parse(part(name).bytes.toString()) as { layers: { digest: string }[] };
      registry.dropBlob('cache.test', NAME, layers[0]!.digest);
    }
    const images = [kept('app', -1000, { digest, ...stanza })];
    const { told, presence } = looking({ images, cache: (name) => registry.repository('cache.test', name) });
    await presence.round(new AbortController().signal);
    const missing = { repository: NAME, digest, at: at(0) };
    expect(told.flatMap((report) => report.missing)).toEqual(found === 'there' ? [] : [missing]);
  });
});
