import { fileURLToPath } from 'node:url';

const rootDir = fileURLToPath(new URL('../..', import.meta.url));

/** One jest preset for every suite: ESM TypeScript through swc, imports with their real `.ts` extension. */
export function suite(overrides) {
  return {
    rootDir,
    cacheDirectory: '<rootDir>/node_modules/.cache/jest',
    testEnvironment: 'node',
    extensionsToTreatAsEsm: ['.ts'],
    transform: {
      '^.+\\.ts$': [
        '@swc/jest',
        { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } },
      ],
    },
    transformIgnorePatterns: ['/node_modules/'],
    modulePathIgnorePatterns: ['/dist/', '/\\.kuik/'],
    testSequencer: '<rootDir>/packages/tooling/slowest-first.mjs',
    injectGlobals: false,
    ...overrides,
  };
}
