import { needs, SERVICES, type ServiceNeeding } from './services.ts';

/** Services with a Redis user. */
export type RedisService = ServiceNeeding<'redis'>;
export const REDIS_SERVICES = SERVICES.filter((service) => needs(service, 'redis')) as readonly RedisService[];

/** What each service's user may do (tried with BullMQ 6.7). */
const ACL = '~kuik:* &kuik:* +@all -@dangerous -@admin +info';

/** Lines of redis-server's configuration or ACL file: one user per service that has one, and no default user. */
export function redisUsers(passwords: Readonly<Record<RedisService, string>>): string[] {
  return [
    'user default off',
    ...REDIS_SERVICES.map((service) => `user kuik-${service} on >${passwords[service]} ${ACL}`),
  ];
}
