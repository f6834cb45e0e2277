import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../testing/until.ts';
import { createLeadership } from '../lease.ts';
import type { KubeClient, KubeObject, Leadership } from '../port.ts';
import { LEASES } from '../resources.ts';
import { unique, type World } from './world.ts';

interface LeaseObject extends KubeObject {
  spec: { holderIdentity?: string; leaseTransitions?: number; leaseDurationSeconds?: number };
}

/** A world in which a candidate's connection can be cut. */
export interface ElectionWorld extends World {
  /** A client of its own whose server can vanish: what happens to a process that dies, but it can still be asked. */
  mortal(): Promise<{ client: KubeClient; die(): void }>;
}

/** What a Lease election must do. */
export function electionConformance(world: () => ElectionWorld): void {
  const started: Leadership[] = [];
  const candidate = (client: KubeClient, name: string, identity: string): Leadership => {
    const leadership = createLeadership({ client, namespace: 'default', name, identity, leaseMs: 2_000 });
    started.push(leadership);
    return leadership;
  };
  const read = (name: string) => world().client.get<LeaseObject>(LEASES, { name, namespace: 'default' });

  describe('leadership', () => {
    afterEach(async () => {
      for (const each of started.splice(0)) await each.stop();
    });

    it('goes to one of five who start together, and from one to the next as they stop', async () => {
      const name = unique('lease');
      const all = [0, 1, 2, 3, 4].map((i) => candidate(world().client, name, `pod-${i}`));
      all.forEach((each) => each.start());
      const seen: string[] = [];
      const stopWatching = watchLeaders(all);
      for (let left = all.length; left > 0; left--) {
        const startedAt = performance.now();
        const leader = await until(() => all.find((each) => each.isLeader()), { what: 'a leader' });
        // Released, not run out.
        expect(performance.now() - startedAt).toBeLessThan(1_900);
        const { spec } = await read(name);
        expect(spec).toMatchObject({ holderIdentity: `pod-${all.indexOf(leader)}`, leaseTransitions: 5 - left });
        seen.push(spec.holderIdentity ?? '');
        await leader.stop();
        expect(leader.isLeader()).toBe(false);
      }
      expect(new Set(seen).size).toBe(5);
      expect(stopWatching()).toBeLessThanOrEqual(1);
      expect((await read(name)).spec.holderIdentity ?? '').toBe('');
    });

    it('passes on within the lease when the holder dies, and never has two', async () => {
      const name = unique('lease');
      const mortal = await world().mortal();
      const holder = candidate(mortal.client, name, 'mortal');
      const heir = candidate(world().client, name, 'heir');
      const told: boolean[] = [];
      holder.onChange((leader) => told.push(leader));
      holder.start();
      await until(() => holder.isLeader(), { what: 'the first leader' });
      heir.start();
      const stopWatching = watchLeaders([holder, heir]);
      await until(async () => (await read(name)).metadata.resourceVersion !== undefined, { what: 'the lease' });
      mortal.die();
      const diedAt = performance.now();
      await until(() => heir.isLeader(), { what: 'the heir', timeoutMs: 5_000 });
      // The lease, and the time between two looks at it (a fifth, jittered).
      expect(performance.now() - diedAt).toBeLessThan(2_000 + 440 + 800);
      expect(holder.isLeader()).toBe(false);
      expect(() => holder.assertLeader()).toThrow(expect.objectContaining({ code: 'conflict' }));
      expect(() => heir.assertLeader()).not.toThrow();
      expect(told).toEqual([true, false]);
      expect(stopWatching()).toBe(1);
      expect((await read(name)).spec.leaseTransitions).toBe(1);
      await Promise.all([holder.stop(), heir.stop()]);
    });

    it('gives up when somebody else wrote the lease, and takes no notice of its deletion', async () => {
      const name = unique('lease');
      const { client } = world();
      const holder = candidate(client, name, 'me');
      holder.start();
      await until(() => holder.isLeader(), { what: 'leadership' });
      await client.delete(LEASES, { name, namespace: 'default' });
      const made = await until(() => read(name), { what: 'the lease made again' });
      expect(made.spec.holderIdentity).toBe('me');
      await until(() => holder.isLeader(), { what: 'leadership' });
      await client.mergePatch(LEASES, { name, namespace: 'default' }, { spec: { holderIdentity: 'usurper' } });
      await until(() => !holder.isLeader(), { what: 'the end of leadership' });
      expect((await read(name)).spec.holderIdentity).toBe('usurper');
      await holder.stop();
      // A stopped candidate that does not hold it leaves it alone.
      expect((await read(name)).spec.holderIdentity).toBe('usurper');
    });
  });
}

/** Counts leaders as often as the event loop allows; the returned function stops and tells the highest count. */
function watchLeaders(all: readonly Leadership[]): () => number {
  let most = 0;
  let on = true;
  const look = (): void => {
    most = Math.max(most, all.filter((each) => each.isLeader()).length);
    if (on) setTimeout(look, 1);
  };
  look();
  return () => {
    on = false;
    return most;
  };
}
