export type * from './port.ts';
export { memoryKube } from './memory-kube.ts';
