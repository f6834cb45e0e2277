// jest loads a suite's setup through its default export.
export { setUp as default } from './global-setup.ts';
