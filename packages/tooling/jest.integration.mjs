import { suite } from './jest.base.mjs';

/** Adapters and services on real servers, leased from the testbed: `*.int.test.ts`. */
export default suite({
  testMatch: ['<rootDir>/{packages,services,e2e}/**/src/**/*.int.test.ts'],
  testTimeout: 60_000,
  maxWorkers: 3,
  globalSetup: '<rootDir>/packages/testbed/src/jest/lease-setup.mjs',
  globalTeardown: '<rootDir>/packages/testbed/src/jest/lease-teardown.mjs',
});
