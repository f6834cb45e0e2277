export { memoryQueue } from './memory-queue.ts';
export type { MemoryQueue } from './memory-queue.ts';
