import { describe, expect, it } from '@jest/globals';
import type { PodView } from './pod-view.ts';
import { deciderOf, IMAGE, NOW, podView } from './testing/objects.ts';
import { podKey, UsageIndex } from './usage.ts';

const HOLD = 1000;
const options = { decider: deciderOf(), completedHoldMs: HOLD };
const index = () => new UsageIndex(options);

describe('UsageIndex', () => {
  it('tells which images changed hands, and only those', () => {
    const usage = index();
    expect(usage.put(podView({ phase: 'Pending' }), NOW)).toEqual([IMAGE]);
    expect(usage.put(podView({ phase: 'Running' }), NOW)).toEqual([]);
    expect(usage.put(podView({ images: [{ key: 'c:app', image: 'quay.io/a/b:2' }] }), NOW).sort()).toEqual(
      ['quay.io/a/b:2', IMAGE].sort(),
    );
    expect([...usage.remove('default/web')]).toEqual(['quay.io/a/b:2']);
    expect([...usage.remove('default/web')]).toEqual([]);
    expect([...usage.heldImages()]).toEqual([]);
  });

  it('sees another pod under the same name', () => {
    const usage = index();
    usage.put(podView({ pullSecrets: ['a'] }), NOW);
    expect(usage.put(podView({ uid: 'pod-2', pullSecrets: ['b'] }), NOW)).toEqual([IMAGE]);
    expect(usage.holdersOf(IMAGE).get('default/web')?.pullSecrets).toEqual(['b']);
  });

  it('counts a pod once, however many of its containers use the image', () => {
    const usage = index();
    const images = ['c:a', 'c:b', 'i:c'].map((key) => ({ key, image: IMAGE }));
    expect(usage.put(podView({ images }), NOW)).toEqual([IMAGE]);
    expect(usage.holdersOf(IMAGE).size).toBe(1);
    expect(usage.holds).toBe(1);
  });

  it.each([
    ['Pending', {}, true],
    ['Running', {}, true],
    ['Unknown', {}, true],
    ['Running', { deleting: true }, false],
    ['Succeeded', { finishedAt: NOW - HOLD + 1 }, true],
    ['Succeeded', { finishedAt: NOW - HOLD }, false],
    ['Failed', { finishedAt: NOW - HOLD + 1 }, true],
    ['Failed', {}, false],
  ])('a pod that is %s %j holds: %s', (phase, change, holds) => {
    const usage = index();
    usage.put(podView({ phase, ...change }), NOW);
    expect(usage.holdersOf(IMAGE).has('default/web')).toBe(holds);
  });

  it('ends the hold of a completed pod when its time is over', () => {
    const usage = index();
    usage.put(podView({ phase: 'Succeeded', finishedAt: NOW }), NOW);
    usage.put(podView({ name: 'other' }), NOW);
    expect(usage.nextExpiry()).toBe(NOW + HOLD);
    expect(usage.expire(NOW + HOLD - 1)).toEqual([]);
    expect(usage.expire(NOW + HOLD)).toEqual([IMAGE]);
    expect([...usage.holdersOf(IMAGE).keys()]).toEqual(['default/other']);
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
    const changed = [...usage.podKeys()].flatMap((key) => usage.put(usage.podOf(key)!, NOW));
    expect(changed).toEqual(['quay.io/a/b:2']);
    expect([...usage.heldImages()]).toEqual([IMAGE]);
    expect(usage.podsOfNamespace('default').map(({ name }) => name)).toEqual(['web', 'other']);
    expect(usage.podsOfNamespace('shop')).toEqual([]);
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
        usage.remove(`${namespace}/${name}`);
        truth.delete(`${namespace}/${name}`);
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
        truth.set(podKey(pod), pod);
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
    usage.podsOfRepository(name).map(podKey).sort(),
  );
  const byNamespace = ['default', 'shop', 'kube-system'].map((name) => usage.podsOfNamespace(name).map(podKey).sort());
  return { held, pods, byNamespace, next: usage.nextExpiry(), known: [...usage.podKeys()].sort() };
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
