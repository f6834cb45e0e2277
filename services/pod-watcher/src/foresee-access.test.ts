import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { silentLogger } from '@kuik/runtime';
import { awaitsCopy } from './public-by-copies.ts';
import { ClusterView } from './cluster-view.ts';
import { ForeseeAccess } from './foresee-access.ts';
import { cachedImage, cacheStanza, deciderOf, NOW, podView } from './testing/objects.ts';

const REPOSITORY = 'registry.example.test/shop';

describe('ForeseeAccess', () => {
  let view: ClusterView;
  let asked: string[];
  let part: ForeseeAccess;
  beforeEach(async () => {
    jest.useFakeTimers();
    asked = [];
    view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 1 }, () => NOW);
    part = new ForeseeAccess({
      leadership: { isLeader: () => true },
      view,
      access: {
        awaitsCopy: () => awaitsCopy(view.imagesOfRepository(REPOSITORY)),
        foresee: ({ host, path }, { namespace, serviceAccount }) => {
          asked.push(`${host}/${path} ${namespace}/${serviceAccount}`);
          return Promise.resolve();
        },
      },
      now: () => NOW,
      log: silentLogger,
      onFailure: () => undefined,
    });
    await part.start();
  });
  afterEach(async () => {
    await part.close();
    jest.useRealTimers();
  });
  const pod = (namespace: string): void =>
    view.putHolder(podView({ namespace, name: namespace, uid: namespace, showsGrant: true, createdAt: NOW }));
  const pass = (ms: number) => jest.advanceTimersByTimeAsync(ms);

  it('asks at once for what was copied, or could not be', async () => {
    view.putImage(cachedImage({ status: { cache: cacheStanza() } }));
    pod('a');
    await pass(0);
    expect(asked).toEqual([`${REPOSITORY} a/default`]);
  });

  it('waits for the first copy of a new image, each account once', async () => {
    for (const namespace of ['a', 'b', 'a']) pod(namespace);
    view.putImage(cachedImage());
    await pass(30_000);
    expect(asked).toEqual([]);
    view.putImage(cachedImage({ metadata: { resourceVersion: '99' }, status: { cache: cacheStanza() } }));
    await pass(0);
    expect(asked).toEqual([`${REPOSITORY} a/default`, `${REPOSITORY} b/default`]);
    await pass(120_000);
    expect(asked).toHaveLength(2);
  });

  it('asks after a minute when no copy says anything', async () => {
    pod('a');
    await pass(59_000);
    expect(asked).toEqual([]);
    await pass(1_000);
    expect(asked).toHaveLength(1);
  });
});
