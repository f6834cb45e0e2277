import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { Intents } from './intents.ts';
import { backOff, nextStep, type StepContext } from './next-step.ts';
import { pullSourcesFor } from './pull-sources.ts';
import { summarise } from './summary.ts';
import { at, cachedImage, cacheStanza, DAY, failedCopy, MINUTE, NOW, podView, repository } from './testing/objects.ts';

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
});
