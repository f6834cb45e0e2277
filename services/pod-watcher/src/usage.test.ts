import { describe, expect, it } from '@jest/globals';
import type { PodView } from './pod-view.ts';
import { deciderOf, IMAGE, NOW, podView } from './testing/objects.ts';
import { holderKey, type HolderView } from './holder-view.ts';
import { UsageIndex } from './usage.ts';

const HOLD = 1000;
const options = {
  decider: deciderOf(),
  completedHoldMs: HOLD,
  revisionsKept: 1,
};
const index = () => new UsageIndex(options);

describe('UsageIndex', () => {
  it('tells which images changed hands, and only those', () => {
    const usage = index();
    expect(usage.put(podView({ phase: 'Pending' }), NOW)).toEqual([IMAGE]);
    expect(usage.put(podView({ phase: 'Running' }), NOW)).toEqual([]);
    expect(usage.put(podView({ images: [{ key: 'c:app', image: 'quay.io/a/b:2' }] }), NOW).sort()).toEqual(
      ['quay.io/a/b:2', IMAGE].sort(),
    );
    expect([...usage.remove('pods default/web', NOW)]).toEqual(['quay.io/a/b:2']);
    expect([...usage.remove('pods default/web', NOW)]).toEqual([]);
    expect([...usage.heldImages()]).toEqual([]);
  });

  it('sees another pod under the same name', () => {
    const usage = index();
    usage.put(podView({ pullSecrets: ['a'] }), NOW);
    expect(usage.put(podView({ uid: 'pod-2', pullSecrets: ['b'] }), NOW)).toEqual([IMAGE]);
    expect(usage.holdersOf(IMAGE).get('pods default/web')?.pullSecrets).toEqual(['b']);
  });

  it('tells of an image that the same holder pulls at each start from now on, or no more', () => {
    const usage = index();
    const pulled = (pullPolicy: string) => podView({ images: [{ key: 'c:app', image: IMAGE, pullPolicy }] });
    usage.put(pulled('IfNotPresent'), NOW);
    expect(usage.put(pulled('Always'), NOW)).toEqual([IMAGE]);
    expect(usage.put(pulled('Always'), NOW)).toEqual([]);
    expect(usage.put(pulled('IfNotPresent'), NOW)).toEqual([IMAGE]);
  });

  it('counts a pod once, however many of its containers use the image', () => {
    const usage = index();
    const images = ['c:a', 'c:b', 'i:c'].map((key) => ({ key, image: IMAGE }));
    expect(usage.put(podView({ images }), NOW)).toEqual([IMAGE]);
    expect(usage.holdersOf(IMAGE).size).toBe(1);
    expect([...usage.holdsByKind()]).toEqual([['Pod', 1]]);
  });

  it.each([
    ['Pending', {}, true],
    ['Running', {}, true],
    ['Unknown', {}, true],
    ['Running', { deleting: true }, false],
    ['Succeeded', { finishedAt: NOW - HOLD + 1 }, true],
    ['Succeeded', { finishedAt: NOW - HOLD }, false],
    ['Failed', { finishedAt: NOW - HOLD + 1 }, true],
    ['Failed', { finishedAt: 0 }, false],
  ])('a pod that is %s %j holds: %s', (phase, change, holds) => {
    const usage = index();
    usage.put(podView({ phase, ...change }), NOW);
    expect(usage.holdersOf(IMAGE).has('pods default/web')).toBe(holds);
  });

  it('ends the hold of a completed pod when its time is over', () => {
    const usage = index();
    usage.put(podView({ phase: 'Succeeded', finishedAt: NOW }), NOW);
    usage.put(podView({ name: 'other' }), NOW);
    expect(usage.nextExpiry()).toBe(NOW + HOLD);
    expect(usage.expire(NOW + HOLD - 1)).toEqual([]);
    expect(usage.expire(NOW + HOLD)).toEqual([IMAGE]);
    expect([...usage.holdersOf(IMAGE).keys()]).toEqual(['pods default/other']);
    expect(usage.nextExpiry()).toBeUndefined();
  });

  it('finds the pods of a repository, by any tag, completed ones left out', () => {
    const usage = index();
    usage.put(podView({ name: 'a' }), NOW);
    usage.put(podView({ name: 'b', images: [{ key: 'c:x', image: 'registry.example.test/shop:2.0' }] }), NOW);
    usage.put(podView({ name: 'done', phase: 'Succeeded', finishedAt: NOW }), NOW);
    usage.put(podView({ name: 'leaving', deleting: true }), NOW);
    const names = usage.podsOfRepository('registry.example.test/shop').map(({ name }) => name);
    expect(names.sort()).toEqual(['a', 'b', 'leaving']);
    expect(usage.podsOfRepository('registry.example.test/other')).toEqual([]);
  });

  it('decides anew by other rules, and tells whose holders changed', () => {
    const usage = index();
    usage.put(podView(), NOW);
    usage.put(podView({ name: 'other', images: [{ key: 'c:app', image: 'quay.io/a/b:2' }] }), NOW);
    usage.decideBy(deciderOf({ ignoreImages: ['^quay'] }));
    const changed = [...usage.keys()].flatMap((key) => usage.put(usage.holderOf(key)!, NOW));
    expect(changed).toEqual(['quay.io/a/b:2']);
    expect([...usage.heldImages()]).toEqual([IMAGE]);
    expect(usage.holdersOfNamespace('default').map(({ name }) => name)).toEqual(['web', 'other']);
    expect(usage.holdersOfNamespace('shop')).toEqual([]);
  });

  const workload = (change: Partial<HolderView> = {}): HolderView => {
    const { phase: _phase, node: _node, ...view } = podView();
    return { ...view, source: 'deployments', kind: 'Deployment', uid: 'd1', ...change };
  };
  const replicaSet = (number: number, change: Partial<HolderView> = {}) =>
    workload({
      source: 'replicasets',
      kind: 'ReplicaSet',
      name: `web-${number}`,
      uid: `rs${number}`,
      images: [{ key: 'c:app', image: `quay.io/a/b:${number}` }],
      revision: { owner: 'd1', number, createdAt: '', active: number === 3 },
      ...change,
    });

  it('counts a workload beside its pods, by kind, and tells their credentials apart', () => {
    const usage = index();
    usage.put(podView(), NOW);
    expect(usage.put(workload(), NOW)).toEqual([IMAGE]);
    expect([...usage.holdersOf(IMAGE).keys()]).toEqual(['pods default/web', 'deployments default/web']);
    expect(Object.fromEntries(usage.holdsByKind())).toEqual({ Pod: 1, Deployment: 1 });
    expect(usage.podsOfRepository('registry.example.test/shop').map(({ kind }) => kind)).toEqual(['Pod']);
    expect(usage.templatesOfRepository('registry.example.test/shop').map(({ kind }) => kind)).toEqual(['Deployment']);
    expect([...usage.remove('pods default/web', NOW)]).toEqual([IMAGE]);
    expect([...usage.heldImages()]).toEqual([IMAGE]);
  });

  it('lets go of revisions that nobody goes back to, and takes them back when a newer one goes', () => {
    const usage = index();
    expect(usage.put(replicaSet(1), NOW)).toEqual(['quay.io/a/b:1']);
    expect(usage.put(replicaSet(2), NOW)).toEqual(['quay.io/a/b:2']);
    expect(usage.put(replicaSet(3), NOW)).toEqual(['quay.io/a/b:3', 'quay.io/a/b:1']);
    expect([...usage.heldImages()].sort()).toEqual(['quay.io/a/b:2', 'quay.io/a/b:3']);
    expect(usage.put(replicaSet(2, { pullSecrets: ['other'] }), NOW)).toEqual([]);
    expect(usage.templatesOfRepository('quay.io/a/b').map(({ name }) => name)).toEqual(['web-3', 'web-2']);
    expect([...usage.remove('replicasets default/web-3', NOW)]).toEqual(['quay.io/a/b:3', 'quay.io/a/b:1']);
    const orphan = replicaSet(1);
    delete (orphan as { revision?: unknown }).revision;
    expect(usage.put(orphan, NOW)).toEqual([]);
    expect([...usage.heldImages()].sort()).toEqual(['quay.io/a/b:1', 'quay.io/a/b:2']);
  });

  it.each([1, 2, 3, 4, 5])('after any history it equals what a fresh index says (seed %i)', (seed) => {
    const random = generator(seed);
    const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)]!;
    const images = [
      'nginx:1',
      'nginx:latest',
      'localhost:7439/docker.io/library/nginx:latest',
      'quay.io/a/b:1',
      'not:a:reference',
      'localhost:5000/x',
    ];
    const usage = index();
    const truth = new Map<string, PodView>();
    let now = NOW;
    for (let step = 0; step < 400; step += 1) {
      now += Math.floor(random() * 400);
      const name = pick(['a', 'b', 'c', 'd', 'e']);
      const namespace = pick(['default', 'shop', 'kube-system']);
      const expiring = usage.expire(now);
      expect(new Set(expiring).size).toBe(expiring.length);
      if (random() < 0.2) {
        usage.remove(`pods ${namespace}/${name}`, now);
        truth.delete(`pods ${namespace}/${name}`);
      } else {
        const phase = pick(['Pending', 'Running', 'Succeeded', 'Failed']);
        const pod = podView({
          name,
          namespace,
          uid: pick(['u1', 'u2']),
          phase,
          deleting: random() < 0.2,
          ...(phase === 'Succeeded' || phase === 'Failed' ? { finishedAt: now - Math.floor(random() * 2 * HOLD) } : {}),
          images: [0, 1, 2]
            .slice(Math.floor(random() * 3))
            .map((index) => ({ key: `c:${index}`, image: pick(images) })),
        });
        usage.put(pod, now);
        truth.set(holderKey(pod), pod);
      }
      const fresh = index();
      for (const pod of truth.values()) fresh.put(pod, now);
      expect(dump(usage)).toEqual(dump(fresh));
    }
  });
});

function dump(usage: UsageIndex) {
  const held = [...usage.heldImages()].sort().map((image) => [image, [...usage.holdersOf(image).keys()].sort()]);
  const pods = ['docker.io/library/nginx', 'quay.io/a/b'].map((name) =>
    usage.podsOfRepository(name).map(holderKey).sort(),
  );
  const byNamespace = ['default', 'shop', 'kube-system'].map((name) =>
    usage.holdersOfNamespace(name).map(holderKey).sort(),
  );
  return { held, pods, byNamespace, next: usage.nextExpiry(), known: [...usage.keys()].sort() };
}

/** Mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
