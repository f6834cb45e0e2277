export * from './wire.ts';
export * from './subjects.ts';
export * from './queues.ts';
export * from './defaults.ts';
