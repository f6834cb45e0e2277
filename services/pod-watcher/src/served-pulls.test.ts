import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { silentLogger } from '@kuik/runtime';
import { imageIdentity } from './identity.ts';
import { ResourceIndex } from './resource-index.ts';
import { ServedPulls } from './served-pulls.ts';
import { at, cachedImage, IMAGE, NOW, UID } from './testing/objects.ts';

function setup(set: (entries: Iterable<readonly [string, number]>) => Promise<void> = () => Promise.resolve()) {
  const images = new ResourceIndex<CachedImage>(imageIdentity);
  images.put(cachedImage());
  const events: string[] = [];
  const pulls = new ServedPulls({
    images,
    events: {
      event: (object, type, reason, message) => events.push(`${object.metadata.name} ${type} ${reason}: ${message}`),
    },
    times: { set: (kind, entries) => (kind === 'pulled' ? set(entries) : Promise.reject(new Error(kind))) },
    log: silentLogger,
  });
  const served = (reference: string, ms: number, stale = 0) => ({
    node: 'node-1',
    since: at(0),
    images: [{ reference, pulls: 1, stale, lastPulled: at(ms) }],
  });
  return { pulls, events, served };
}

describe('ServedPulls', () => {
  it('keeps the last pull, whatever order the windows come in', async () => {
    const recorded: [string, number][] = [];
    const { pulls, served } = setup((entries) => {
      for (const [uid, time] of entries) recorded.push([uid, time]);
      return Promise.resolve();
    });
    expect(await pulls.take(served(IMAGE, 10))).toEqual([IMAGE]);
    expect(await pulls.take(served(IMAGE, 5))).toEqual([]);
    expect(await pulls.take(served(IMAGE, 20))).toEqual([IMAGE]);
    expect(pulls.lastPulled(IMAGE)).toBe(NOW + 20);
    expect(recorded).toEqual([
      [UID, NOW + 10],
      [UID, NOW + 20],
    ]);
  });

  it('says when the cache answered for an upstream that could not', async () => {
    const { pulls, events, served } = setup();
    await pulls.take(served(IMAGE, 1));
    await pulls.take(served('quay.io/unknown:1', 1, 3));
    expect(events).toEqual([]);
    await pulls.take(served(IMAGE, 2, 1));
    expect(events).toEqual([expect.stringMatching(/^shop Warning ServedStale: node node-1 was served/)]);
  });

  it('goes on without Redis, and without what is no reference', async () => {
    const { pulls, served } = setup(() => Promise.reject(new Error('away')));
    expect(await pulls.take(served(IMAGE, 1))).toEqual([IMAGE]);
    expect(await pulls.take(served('a:b:c', 1))).toEqual([]);
  });
});
