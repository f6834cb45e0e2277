import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createKubeClient } from '@kuik/kube';
import { makeIndex } from '@kuik/testbed';
import { clusterWorld, type ClusterWorld } from './cluster/cluster-world.ts';
import { standInForNodes } from './cluster/stand-in-nodes.ts';
import { CLUSTER_STORY } from './cluster/story.ts';
import { LocalStack } from './stack/local-stack.ts';
import { MAIN_JOB } from './story/main-job.ts';
import type { AnyStep } from './story/step.ts';

let stack: LocalStack;
beforeAll(async () => {
  stack = await LocalStack.start();
});
afterAll(() => stack?.stop());

/** The step holds, and each way to break it is noticed. */
async function prove<W>(step: AnyStep<W>, world: W): Promise<void> {
  const { good, broken } = await step.prove(world);
  expect(good).toEqual([]);
  expect(broken.length).toBeGreaterThan(0);
  for (const { name, problems } of broken)
    expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
}

describe('the main job, end to end', () => {
  it.each(MAIN_JOB.map((step) => [step.title, step] as const))('%s', (_title, step) => prove(step, stack));
});

describe('the main job, seen on any cluster through its API alone', () => {
  let world: ClusterWorld;
  const ends: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    // What is told above ends with a dead upstream.
    await stack.bringUpstreamBack();
    const kube = createKubeClient({ kubeconfig: stack.controlPlane.kubeconfig });
    ends.push(() => kube.close());
    world = clusterWorld(kube, {
      namespace: 'cluster-story',
      image: 'docker.io/library/hello:1.36',
      proxyPrefix: stack.proxyPrefix,
      patienceMs: 20_000,
    });
    await stack.push('docker.io', 'library/hello', ['1.36'], await makeIndex({ seed: 'cluster', layers: [64 * 1024] }));
    await stack.controlPlane.namespace(world.namespace);
    const nodes = standInForNodes(stack, kube, world.namespace);
    ends.push(() => nodes.stop());
  });
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
  });

  it.each(CLUSTER_STORY.map((step) => [step.title, step] as const))('%s', (_title, step) => prove(step, world));
});
