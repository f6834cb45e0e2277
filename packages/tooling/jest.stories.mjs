import { suite } from './jest.base.mjs';

/** Whole-system stories and faults on one running stack: `*.story.test.ts`, one at a time. */
export default suite({
  testMatch: ['<rootDir>/e2e/src/**/*.story.test.ts'],
  testTimeout: 170_000,
  maxWorkers: 1,
});
