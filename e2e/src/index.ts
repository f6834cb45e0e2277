export { LocalStack, REPLICAS, type LocalStackOptions } from './stack/local-stack.ts';
export { pod } from './story/pods.ts';
