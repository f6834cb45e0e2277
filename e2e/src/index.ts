export { LocalStack, type LocalStackOptions } from './stack/local-stack.ts';
export { REPLICAS } from './stack/start-replicas.ts';
export { pod } from './story/pods.ts';
export { identityObjects } from './stack/chart-objects.ts';
export { readDeclarations } from './stack/declarations.ts';
export { settingsOf, type StackFacts } from './stack/service-settings.ts';
