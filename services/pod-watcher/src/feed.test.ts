import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KubeError, type KubeObject, type Resource } from '@kuik/kube';
import { type MemoryKube, memoryKube } from '@kuik/kube/memory';
import { Feed } from './feed.ts';
import { eventually } from './testing/world.ts';

const ROLLOUTS: Resource = {
  group: 'argoproj.io',
  version: 'v1alpha1',
  plural: 'rollouts',
  kind: 'Rollout',
  namespaced: true,
};

let kube: MemoryKube;
let served: Resource | undefined | Error;
let feed: Feed<KubeObject, string>;
let lists: string[][];
let changes: string[];
let errors: unknown[];

beforeEach(() => {
  kube = memoryKube();
  served = ROLLOUTS;
  [lists, changes, errors] = [[], [], []];
  feed = new Feed<KubeObject, string>({
    id: 'Rollout.argoproj.io',
    client: kube,
    resyncMs: 60_000,
    find: () => (served instanceof Error ? Promise.reject(served) : Promise.resolve(served)),
    lookAgainMs: 10,
    project: ({ metadata }) => metadata.name,
    onChange: ({ old, now }) => changes.push(`${old ?? '-'} ${now ?? '-'}`),
    onList: (values) => lists.push([...values]),
    onState: () => undefined,
    observe: (event) => {
      if (event.kind === 'error') errors.push(event.error);
    },
  });
});
afterEach(() => feed.stop());

const put = (name: string) => kube.put<KubeObject>(ROLLOUTS, { metadata: { name, namespace: 'shop' } });
const becomes = (state: string) => eventually(`state ${state}`, () => feed.state === state);

describe('a feed', () => {
  it('is pending until the first list, then follows', async () => {
    put('a');
    expect([feed.state, feed.synced(), feed.contactAgeMs()]).toEqual(['pending', false, Infinity]);
    feed.start();
    await becomes('listed');
    expect([feed.synced(), feed.size(), lists]).toEqual([true, 1, [['a']]]);
    put('b');
    await eventually('b', () => changes.includes('- b'));
  });

  it('of a kind that is not installed is empty, and looked for again', async () => {
    served = undefined;
    feed.start();
    await becomes('absent');
    await eventually('another look', () => lists.length >= 2);
    expect([feed.synced(), feed.size(), lists.flat()]).toEqual([true, 0, []]);
    put('a');
    served = ROLLOUTS;
    await becomes('listed');
    expect(lists.at(-1)).toEqual(['a']);
  });

  it('of a kind that is taken away becomes empty', async () => {
    put('a');
    feed.start();
    await becomes('listed');
    served = undefined;
    kube.failNext('not-found', { resource: ROLLOUTS });
    kube.endWatches();
    await becomes('absent');
    expect(lists.at(-1)).toEqual([]);
  });

  it('that is refused is not known, until something is heard again', async () => {
    kube.failNext('forbidden', { verb: 'list', resource: ROLLOUTS });
    feed.start();
    await becomes('refused');
    expect([feed.synced(), lists]).toEqual([false, []]);
    await becomes('listed');
    expect(feed.synced()).toBe(true);
    kube.failNext('forbidden', { verb: 'watch', resource: ROLLOUTS });
    kube.endWatches();
    await becomes('refused');
    expect(feed.synced()).toBe(false);
  });

  it('whose kind may not be looked for is refused, too, and one that cannot be looked for pending', async () => {
    served = new KubeError('unavailable', 'away');
    feed.start();
    await eventually('a failed look', () => errors.length > 0);
    expect(feed.state).toBe('pending');
    served = new KubeError('forbidden', 'no');
    await becomes('refused');
  });
});
