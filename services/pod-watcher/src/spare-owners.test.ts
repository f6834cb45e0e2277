import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ConfigMap, CONFIG_MAPS, EVENTS, PODS } from '@kuik/kube';
import { IMAGE } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

const MAP = { namespace: 'kuik-system', name: 'kuik-spared-owners' };
const OWNER = { apiVersion: 'db.test/v1', kind: 'Cluster', name: 'db', uid: 'uid-db', controller: true };
const annotations = { 'kuik.enix.io/original-images': JSON.stringify({ 'c:c0': IMAGE }) };

let world: ReturnType<typeof createWorld>;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.close());

const data = () => world.kube.find<ConfigMap>(CONFIG_MAPS, MAP)?.data;
const made = (name: string, metadata: object = {}): void =>
  world.pod(name, `localhost:7439/${IMAGE}`, {
    metadata: { name, namespace: 'default', annotations, ownerReferences: [OWNER], ...metadata },
  });
const deleted = (name: string) => world.kube.drop(PODS, { namespace: 'default', name });
/** Three rewritten pods in a row. */
const fight = (metadata: object = {}): void => {
  for (const name of ['a', 'b', 'c']) {
    made(name, metadata);
    deleted(name);
  }
};
const leading = async (identity?: string) => {
  const replica = world.replica(identity);
  await replica.start();
  await eventually('a leader', () => replica.leading && data() !== undefined);
  return replica;
};

describe('an owner that fights', () => {
  it('is spared, with an event on it; a person undoes it, and then counting begins anew', async () => {
    const { healthPort } = await leading();
    const metrics = async () => (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text();
    expect(data()).toEqual({});
    fight();
    await eventually('the entry', () => data()?.['uid-db']);
    expect(JSON.parse(data()!['uid-db']!)).toMatchObject({
      kind: 'Cluster',
      namespace: 'default',
      name: 'db',
      from: IMAGE,
      count: 3,
    });
    const event = await eventually('the event', () =>
      world.kube.objects(EVENTS).find((each) => 'reason' in each && each.reason === 'RewriteStopped'),
    );
    expect(event).toMatchObject({
      metadata: { namespace: 'default' },
      type: 'Warning',
      regarding: { apiVersion: 'db.test/v1', kind: 'Cluster', namespace: 'default', name: 'db', uid: 'uid-db' },
      note: expect.stringContaining('sparedOwners.uid-db') as unknown,
    });

    await world.kube.mergePatch(CONFIG_MAPS, MAP, { data: { 'uid-db': null } });
    await eventually('that to be noticed', async () => /^kuik_spared_owners(\{.*\})? 0$/m.test(await metrics()));
    made('d');
    deleted('d');
    made('e');
    fight({ ownerReferences: [{ ...OWNER, uid: 'uid-other' }] });
    await eventually('the entry of another', () => data()?.['uid-other']);
    expect(data()!['uid-db']).toBeUndefined();
    deleted('e');
    made('f');
    await eventually('the entry again', () => data()?.['uid-db']);
    await eventually('the count', async () =>
      /^kuik_owner_fights_total\{.*result="spared".*\} 3$/m.test(await metrics()),
    );
  });

  it('is known to the next leader, half way too; and a ConfigMap that a person deleted is there again, empty', async () => {
    const one = await leading('one');
    const two = world.replica('two');
    await two.start();
    await eventually(
      'the second replica to see pods',
      () => world.kube.calls.filter(({ verb, resource }) => verb === 'watch' && resource === 'pods').length >= 3,
    );
    for (const name of ['a', 'b']) {
      made(name);
      deleted(name);
    }
    await one.close();
    await eventually('the other to lead', () => two.leading);
    made('c');
    await eventually('the entry', () => data()?.['uid-db']);
    const creations = () =>
      world.writes().filter(({ verb, resource }) => verb === 'create' && resource === 'configmaps');
    expect(creations()).toHaveLength(1);
    world.kube.drop(CONFIG_MAPS, MAP);
    await eventually('another ConfigMap', () => data());
    expect([data(), creations().length]).toEqual([{}, 2]);
  });

  it('is found although the API server refuses at first', async () => {
    await leading();
    world.kube.failNext('unavailable', { verb: 'patch', resource: CONFIG_MAPS, times: 2 });
    fight();
    await eventually('the entry', () => data()?.['uid-db']);
  });
});
