import { suite } from './jest.base.mjs';

/**
 * Whole-system stories and faults on running stacks: `*.story.test.ts`. Each file has a stack of its own, and waits for a third of its time; most
 * lease their control plane.
 */
export default suite({
  testMatch: ['<rootDir>/e2e/src/**/*.story.test.ts'],
  testTimeout: 170_000,
  maxWorkers: 2,
  globalSetup: '<rootDir>/packages/testbed/src/jest/lease-setup.mjs',
  globalTeardown: '<rootDir>/packages/testbed/src/jest/lease-teardown.mjs',
});
