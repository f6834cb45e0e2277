import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import type { KubeObject, ReflectorEvent } from '../port.ts';
import { createReflector } from '../reflector.ts';
import { CACHED_IMAGES, PODS, SECRETS } from '../resources.ts';
import { until } from '../testing/until.ts';
import { memoryKube } from './memory-kube.ts';

const pod = (name: string, node: string) => ({ metadata: { name, namespace: 'ns' }, spec: { nodeName: node } });

describe('what a test does behind the twin', () => {
  it('puts objects whole, and again, and drops them whatever their finalizers say', () => {
    const kube = memoryKube({ now: () => new Date('2026-01-01T00:00:00.500Z') });
    const spec = { sourceImage: 'docker.io/library/nginx:1' };
    const made = kube.put<CachedImage>(CACHED_IMAGES, {
      metadata: { name: 'a', finalizers: ['f.io/x'] },
      spec,
      status: { phase: 'Ready' },
    });
    expect(made).toMatchObject({
      kind: 'CachedImage',
      metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
      status: { phase: 'Ready' },
    });
    const again = kube.put<CachedImage>(CACHED_IMAGES, {
      metadata: { name: 'a', finalizers: ['f.io/x'] },
      spec: { ...spec, retain: true },
    });
    expect([again.metadata.uid, again.metadata.generation, again.status]).toEqual([made.metadata.uid, 2, undefined]);
    kube.drop(CACHED_IMAGES, { name: 'a' });
    expect(kube.objects(CACHED_IMAGES)).toEqual([]);
  });

  it('gives copies: nobody changes what is stored', () => {
    const kube = memoryKube();
    kube.put(PODS, pod('a', 'n'));
    kube.objects(PODS)[0]!.metadata.labels = { x: 'y' };
    expect(kube.find(PODS, { name: 'a', namespace: 'ns' })?.metadata.labels).toBeUndefined();
  });

  it('lets matching calls fail, as often as was said', async () => {
    const kube = memoryKube();
    kube.failNext('unavailable', { verb: 'list', resource: PODS, times: 2 });
    await kube.list(SECRETS);
    await expect(kube.list(PODS)).rejects.toMatchObject({ code: 'unavailable', retry: true });
    await expect(kube.list(PODS)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await kube.list(PODS)).items).toEqual([]);
    expect(kube.calls.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual([
      'list secrets',
      'list pods',
      'list pods',
      'list pods',
    ]);
  });

  it('answers token reviews as told', async () => {
    const kube = memoryKube();
    kube.setToken('t', { authenticated: true, username: 'u', nodeName: 'n', audiences: ['broker'] });
    expect(await kube.tokenReview('t', ['broker'])).toMatchObject({ username: 'u', nodeName: 'n' });
    expect(await kube.tokenReview('t', ['other'])).toMatchObject({ authenticated: false });
    expect(await kube.tokenReview('x', ['broker'])).toMatchObject({ authenticated: false });
  });

  it('selects pods by their node', async () => {
    const kube = memoryKube();
    for (const [name, node] of [
      ['a', 'n1'],
      ['b', 'n2'],
      ['c', ''],
    ] as const)
      kube.put(PODS, pod(name, node));
    const named = async (fieldSelector: string) =>
      (await kube.list(PODS, { fieldSelector })).items.map(({ metadata }) => metadata.name);
    expect(await named('spec.nodeName=n1')).toEqual(['a']);
    expect(await named('spec.nodeName!=')).toEqual(['a', 'b']);
    await expect(kube.list(PODS, { labelSelector: '(' })).rejects.toMatchObject({ code: 'invalid' });
  });

  it('ends watches and forgets versions under a reflector, which heals', async () => {
    const kube = memoryKube();
    kube.put(PODS, pod('a', 'n1'));
    const events: ReflectorEvent[] = [];
    const reflector = createReflector<KubeObject, string>({
      client: kube,
      resource: PODS,
      project: ({ metadata }) => metadata.name,
      observe: (event) => events.push(event),
      backoff: { firstMs: 1, maxMs: 1 },
    });
    reflector.start();
    const watches = () => events.filter(({ kind }) => kind === 'watch').length;
    const lists = () => events.flatMap((event) => (event.kind === 'list' ? [[event.why, event.repaired]] : []));
    try {
      await until(() => watches() === 1, { what: 'a watch' });
      kube.endWatches();
      await until(() => watches() === 2, { what: 'a second watch' });
      kube.put(PODS, pod('b', 'n1'));
      await until(() => reflector.size() === 2, { what: 'a second pod' });
      kube.endWatches('gone');
      await until(() => watches() === 3, { what: 'a third watch' });
      kube.forgetHistory();
      kube.put(PODS, pod('c', 'n1'));
      await until(() => reflector.size() === 3, { what: 'a third pod' });
      expect(lists()).toEqual([
        ['start', 0],
        ['gone', 0],
        ['gone', 1],
      ]);
    } finally {
      await reflector.stop();
    }
  });
});
