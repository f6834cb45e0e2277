import { suite } from './jest.base.mjs';

/** Pure decisions and in-process code: no server, no testbed. `*.test.ts`, but not `*.int.test.ts`. */
export default suite({
  testMatch: ['<rootDir>/{packages,services}/*/src/**/*.test.ts', '<rootDir>/{e2e,bench,scripts}/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '\\.int\\.test\\.ts$', '\\.story\\.test\\.ts$'],
  testTimeout: 10_000,
  // jest leaves one core to others unless told: on two it would run everything in one process.
  maxWorkers: '100%',
});
