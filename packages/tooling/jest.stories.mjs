import { suite } from './jest.base.mjs';

/** Whole-system stories and faults on running stacks: `*.story.test.ts`. Each file has a stack of its own, and waits more than it works. */
export default suite({
  testMatch: ['<rootDir>/e2e/src/**/*.story.test.ts'],
  testTimeout: 170_000,
  maxWorkers: 2,
});
