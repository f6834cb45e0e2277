export { memoryBus } from './memory-bus.ts';
export { MemoryServer } from './memory-server.ts';
