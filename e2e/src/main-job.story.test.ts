import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LocalStack } from './stack/local-stack.ts';
import { MAIN_JOB } from './story/main-job.ts';

let stack: LocalStack;
beforeAll(async () => {
  stack = await LocalStack.start();
});
afterAll(() => stack.stop());

describe('the main job, end to end', () => {
  it.each(MAIN_JOB.map((step) => [step.title, step] as const))('%s', async (_title, step) => {
    const { good, broken } = await step.prove(stack);
    expect(good).toEqual([]);
    expect(broken.length).toBeGreaterThan(0);
    for (const { name, problems } of broken)
      expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
  });
});
