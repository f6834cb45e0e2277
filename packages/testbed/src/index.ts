export type * from './port.ts';
export { startNats } from './stack/nats.ts';
export { startRedis } from './stack/redis.ts';
export { PartMissing } from './parts/find.ts';
export { freePort } from './process/free-port.ts';
export { until, WaitTimeout } from './process/until.ts';
