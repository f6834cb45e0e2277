import { describe, expect, it } from '@jest/globals';
import type { ImageServed } from '@kuik/contracts';
import { RegistryError, type RepositoryClient } from '@kuik/registry';
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

describe('a look', () => {
  function world(answers: Record<string, 'there' | 'lost' | 'away'>, leads = true) {
    const told: ImageServed[] = [];
    let asked = 0;
    const cache = (repository: string) =>
      ({
        headManifest() {
          asked += 1;
          const answer = answers[repository];
          if (answer === 'there') return Promise.resolve({ digest: DIGEST, mediaType: '', size: 1 });
          return Promise.reject(new RegistryError(answer === 'lost' ? 'not-found' : 'refused', String(answer)));
        },
      }) as Partial<RepositoryClient> as RepositoryClient;
    const images = Object.keys(answers).map((name, i) =>
      kept(name.split('/').at(-1)!, -1000 + i, { platformsOnDemand: ['linux/arm64'] }),
    );
    const presence = new Presence({
      images: { values: () => images.values(), synced: () => true },
      leadership: { isLeader: () => leads },
      cache,
      publish: (report) => Promise.resolve(void told.push(report)),
      clock: { ...systemClock, now: () => NOW },
      log: silentLogger,
      metrics: createMetrics({ service: 'gc', defaults: false }),
      everyMs: HOUR,
      roundMs: HOUR,
    });
    return { told, presence, asked: () => asked };
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

  it('is the leader’s', async () => {
    const { presence, asked } = world({ 'docker.io/library/a': 'lost' }, false);
    await presence.round(signal);
    expect(asked()).toBe(0);
  });
});
