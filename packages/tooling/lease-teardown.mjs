export { tearDown as default } from '../testbed/src/jest/global-setup.ts';
