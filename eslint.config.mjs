import { config } from './packages/tooling/eslint.mjs';

export default config(import.meta.dirname);
