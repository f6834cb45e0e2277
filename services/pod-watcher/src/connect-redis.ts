import type { Logger } from '@kuik/runtime';
import type { RedisParts } from './app.ts';
import type { PodWatcherConfig } from './config.ts';

export function connectRedis(_redis: PodWatcherConfig['redis'], _log: Logger): RedisParts {
  throw new Error('not yet');
}
