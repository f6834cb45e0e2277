import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { whyNotHere } from '@kuik/testbed';
import type { NodeWorld } from './node/node-pods.ts';
import { NODE_STORY } from './node/node-story.ts';
import { LocalStack } from './stack/local-stack.ts';

// A node takes Linux, root and cgroups. What else may be missing is no reason to skip: it is obtained before.
const impossible = whyNotHere();
const onNode = impossible.length === 0 ? describe : describe.skip;

let world: LocalStack & NodeWorld;
beforeAll(async () => {
  if (impossible.length > 0) return;
  const stack = await LocalStack.start({ node: true });
  world = Object.assign(stack, { node: stack.node! });
});
afterAll(() => world?.stop());

onNode('the main job, where pods really start', () => {
  it.each(NODE_STORY.map((step) => [step.title, step] as const))('%s', async (_title, step) => {
    const { good, broken } = await step.prove(world);
    expect(good).toEqual([]);
    for (const { name, problems } of broken)
      expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
  });
});
