import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { imagesOf } from './images-of.ts';
import { Intents } from './intents.ts';
import { backOff, nextStep, type StepContext } from './next-step.ts';
import { viewPod } from './pod-view.ts';
import { readPullSecret } from './pull-secret.ts';
import { pullSourcesFor } from './pull-sources.ts';
import { summarise } from './summary.ts';
import {
  at,
  cachedImage,
  cacheStanza,
  DAY,
  deciderOf,
  DIGEST,
  failedCopy,
  IMAGE,
  MINUTE,
  NOW,
  OTHER_DIGEST,
  podObject,
  podView,
  repository,
  upstreamStanza,
} from './testing/objects.ts';
import { UsageIndex } from './usage.ts';
import { WORKLOADS } from './workloads.ts';

const retry = { firstMs: 5_000, maxMs: 30 * MINUTE, unavailableMs: 6 * 60 * MINUTE };
const context: StepContext = { duplicate: false, held: true, forced: false, missing: false, moved: false, retry };
const step = (image: CachedImage, change: Partial<StepContext> = {}) => nextStep(image, { ...context, ...change }, NOW);
const WISH = { annotations: { 'cachedimage.kuik.enix.io/forceUpdate': 'true' } };

describe('what kuik v1 did wrong', () => {
  it('v1 defect: a wiped cache is never refilled', () => {
    const image = cachedImage({ status: { cache: cacheStanza() } });
    expect(step(image, { missing: true })).toEqual({ do: 'copy', reason: 'ContentMissing' });
    // A copier that found it neither there nor upstream takes its word back; v1 went on to say cached.
    const lost = cachedImage({ status: { cache: failedCopy(), isCached: true, digest: 'ab'.repeat(32) } });
    expect(summarise(lost, { now: NOW, retry })).toMatchObject({ isCached: false, phase: 'ErrImagePull' });
    expect(summarise(lost, { now: NOW, retry })).not.toHaveProperty('digest');
  });

  it('v1 defect: other architectures are never copied later', () => {
    const cache = cacheStanza({ platforms: ['linux/amd64'], platformsOnDemand: ['linux/arm64'] });
    const image = cachedImage({ status: { cache } });
    expect(step(image, { platforms: ['linux/amd64'] })).toEqual({ do: 'nothing', reason: 'Cached' });
    expect(step(image, { platforms: ['linux/amd64', 'linux/arm64'] })).toEqual({
      do: 'copy',
      reason: 'PlatformsChanged',
    });
  });

  it("v1 defect: upstream's digest stands for what is stored", () => {
    const upstream = upstreamStanza({ state: 'Moved', digest: OTHER_DIGEST });
    const moved = cachedImage({ status: { cache: cacheStanza(), upstream } });
    expect(summarise(moved, { now: NOW, retry })).toMatchObject({
      digest: DIGEST.slice('sha256:'.length),
      upstreamDigest: OTHER_DIGEST.slice('sha256:'.length),
      upToDate: false,
    });
  });

  it('v1 defect: an image that is gone upstream is tried for ever, as fast as the work queue goes', () => {
    const gone = cachedImage({ status: { cache: failedCopy({ code: 'KUIK-REG-404', at: at(0), attempts: 9 }) } });
    expect(step(gone)).toEqual({ do: 'wait', until: NOW + 6 * 60 * MINUTE, reason: 'UpstreamGone' });
    expect(summarise(gone, { now: NOW, retry }).phase).toBe('Unavailable');
  });

  it('v1 defect: retries of many images meet, without jitter', () => {
    const delays = Array.from({ length: 50 }, (_, index) => backOff(4, `uid-${index}`, retry));
    expect(new Set(delays).size).toBeGreaterThan(40);
    for (const delay of delays) expect(delay).toBeGreaterThanOrEqual(20_000);
  });

  it("v1 defect: a registry's Retry-After is not kept", () => {
    const limited = failedCopy({ code: 'KUIK-REG-429', at: at(0), retryAt: at(17 * MINUTE) });
    expect(step(cachedImage({ status: { cache: limited } }))).toEqual({
      do: 'wait',
      until: NOW + 17 * MINUTE,
      reason: 'Parked',
    });
  });

  it('v1 defect: a forced update is forgotten when its copy fails', async () => {
    const intents = new Intents({ enqueue: () => Promise.resolve(true) });
    const reference = { host: 'registry.example.test', path: 'shop', tag: '1.0' };
    const wished = cachedImage({ metadata: WISH, status: { cache: cacheStanza() } });
    expect(intents.unraisedForce(wished)).toBe(true);
    await intents.raise(wished, reference, 'Forced');
    const failed = cachedImage({
      metadata: WISH,
      status: { cache: { ...cacheStanza(), ...failedCopy({ at: at(-DAY) }) } },
    });
    expect(intents.forceAnswered(failed)).toBe(false);
    expect(step(failed)).toEqual({ do: 'copy', reason: 'Retry' });
    const copied = cachedImage({ metadata: WISH, status: { cache: cacheStanza({ forced: 'true', copiedAt: at(0) }) } });
    expect(intents.forceAnswered(copied)).toBe(true);
  });

  it('v1 defect: the pull secrets of one namespace take the place of another’s', () => {
    const pods = [
      podView({ namespace: 'shop', name: 'a', pullSecrets: ['one'] }),
      podView({ namespace: 'blog', name: 'b', pullSecrets: [] }),
      podView({ namespace: 'team', name: 'c', pullSecrets: ['two'] }),
    ];
    const named = repository({ spec: { pullSecretsNamespace: 'infra', pullSecretNames: ['robot'] } });
    const known = { pods, templates: [], images: [cachedImage()], repositories: [named] };
    const sources = pullSourcesFor({ kind: 'service', name: 'copier' }, known);
    expect(sources?.secrets.map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
      'shop/one',
      'team/two',
      'infra/robot',
    ]);
  });

  it('v1 defect: any pod that reaches a proxy has every credential (a node has those of its own pods)', () => {
    const pods = [
      podView({ namespace: 'shop', name: 'a', node: 'node-1', pullSecrets: ['one'] }),
      podView({ namespace: 'team', name: 'c', node: 'node-2', pullSecrets: ['two'] }),
    ];
    const known = { pods, templates: [], images: [cachedImage()], repositories: [repository()] };
    const node = (name: string) => pullSourcesFor({ kind: 'node', name: 'proxy', node: name }, known);
    expect(node('node-2')?.secrets).toEqual([{ namespace: 'team', name: 'two' }]);
    expect(node('node-3')).toBeUndefined();
  });

  it.each<[string, object, object[]]>([
    ['identitytoken', { identitytoken: 're' }, [{ kind: 'identity', token: 're' }]],
    ['registrytoken', { registrytoken: 'be' }, [{ kind: 'registry', token: 'be' }]],
  ])('v1 defect: a token of a pull secret is not read (%s)', (_name, entry, logins) => {
    expect(readPullSecret(secretOf({ 'quay.io': entry }), 'quay.io', 'a/b').logins).toMatchObject(
      logins.map((login) => ({ login })),
    );
  });

  it('v1 defect: one unreadable entry of a pull secret fails the whole lookup', () => {
    const auth = Buffer.from('robot:secret').toString('base64');
    const entries = { 'quay.io/a': { auth: '00000000' }, 'quay.io': { auth } };
    expect(readPullSecret(secretOf(entries), 'quay.io', 'a/b')).toMatchObject({
      logins: [{ login: { username: 'robot' } }],
      mistake: expect.stringContaining('its entry for quay.io') as unknown,
    });
  });
});

describe('what kuik v1 did not count', () => {
  const HOLD = 60 * MINUTE;
  const index = () => new UsageIndex({ decider: deciderOf(), completedHoldMs: HOLD, revisionsKept: 1 });

  it('v1 defect: pods that were there before are not cached', () => {
    // Neither label nor annotation: no webhook has ever seen it.
    const { metadata, ...pod } = podObject('old', ['nginx:1', 'localhost:5000/x:1']);
    const view = viewPod({ ...pod, metadata: { ...metadata, uid: 'u', resourceVersion: '1' } }, []);
    expect(imagesOf(view, deciderOf()).used.map(({ image }) => image)).toEqual(['docker.io/library/nginx:1']);
  });

  it.each<[string, object]>([
    ['deployments', { replicas: 0 }],
    ['replicasets', { replicas: 0 }],
    ['statefulsets', { replicas: 0 }],
    ['jobs', { suspend: true }],
    ['cronjobs', { suspend: true }],
  ])('v1 defect: workloads without pods hold nothing (%s)', (plural, spec) => {
    const usage = index();
    const template = { spec: { containers: [{ name: 'app', image: IMAGE }] } };
    const kind = WORKLOADS.find(({ resource }) => resource.plural === plural)!;
    const metadata = { name: 'idle', namespace: 'shop', uid: 'u', resourceVersion: '1' };
    const object = { metadata, spec: { ...spec, template, jobTemplate: { spec: { template } } } };
    usage.put(kind.view(object, []), NOW);
    expect([...usage.heldImages()]).toEqual([IMAGE]);
  });

  it('v1 defect: a completed pod holds its images until somebody deletes it', () => {
    const usage = index();
    usage.put(podView({ phase: 'Succeeded', finishedAt: NOW }), NOW);
    expect([...usage.heldImages()]).toEqual([IMAGE]);
    expect(usage.expire(NOW + HOLD)).toEqual([IMAGE]);
    expect([...usage.heldImages()]).toEqual([]);
  });
});

function secretOf(auths: object): Parameters<typeof readPullSecret>[0] {
  const config = Buffer.from(JSON.stringify({ auths })).toString('base64');
  const metadata = { name: 'regcred', uid: 'u', resourceVersion: '1' };
  return { metadata, type: 'kubernetes.io/dockerconfigjson', data: { '.dockerconfigjson': config } };
}
