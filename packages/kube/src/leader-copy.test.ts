import { afterEach, describe, expect, it } from '@jest/globals';
import { leaderCopy, type LeaderCopy } from './leader-copy.ts';
import { memoryKube } from './memory/index.ts';
import type { KubeObject } from './port.ts';
import { createReflector } from './reflector.ts';
import { PODS } from './resources.ts';
import { until } from './testing/until.ts';

let copy: LeaderCopy<string>;
afterEach(() => copy.close());

function world() {
  const client = memoryKube();
  client.put(PODS, { metadata: { name: 'web', namespace: 'default' } });
  const listeners: ((leader: boolean) => void)[] = [];
  let leads = false;
  const leadership = {
    isLeader: () => leads,
    onChange: (listener: (leader: boolean) => void) => listeners.push(listener),
  };
  const open = () =>
    createReflector<KubeObject, string>({ client, resource: PODS, project: ({ metadata }) => metadata.name });
  copy = leaderCopy('pods', leadership, open);
  const lead = (leader: boolean): void => {
    leads = leader;
    for (const listener of listeners) listener(leader);
  };
  const lists = () => client.calls.filter(({ verb }) => verb === 'list').length;
  return { client, lead, lists };
}

describe('leaderCopy', () => {
  it('asks for nothing while somebody else leads, and is ready all the same', async () => {
    const { client } = world();
    await copy.start();
    expect([copy.synced(), [...copy.values()], copy.notReady()]).toEqual([false, [], undefined]);
    expect(client.calls).toEqual([]);
  });

  it('lists when it leads, is not ready before that is in, and forgets when it does not lead any more', async () => {
    const { lead, lists } = world();
    await copy.start();
    lead(true);
    expect(copy.notReady()).toBe('the list of pods is not complete');
    await until(() => copy.synced(), { what: 'the list' });
    expect([[...copy.values()], copy.get({ name: 'web', namespace: 'default' }), copy.notReady()]).toEqual([
      ['web'],
      'web',
      undefined,
    ]);
    lead(false);
    expect([copy.synced(), [...copy.values()]]).toEqual([false, []]);
    lead(true);
    await until(() => copy.synced(), { what: 'a list of the new term' });
    expect(lists()).toBe(2);
  });

  it('is there for one who led before it started, and opens nothing once closed', async () => {
    const { lead, lists } = world();
    lead(true);
    await copy.start();
    await until(() => copy.synced(), { what: 'the list' });
    await copy.close();
    lead(true);
    expect([copy.synced(), lists()]).toEqual([false, 1]);
  });
});
