import type { RegistryMap } from '@kuik/registry';
import type { PodWatcherConfig } from './config.ts';

/** `registries.<host>` as the registry client takes it, CA files read. */
export function registryMap(registries: PodWatcherConfig['registries'], read: (path: string) => string): RegistryMap {
  return Object.fromEntries(
    Object.entries(registries).map(
      ([host, { caFile, ca = caFile === undefined ? undefined : read(caFile), ...rest }]) => {
        const known = Object.entries({ ...rest, ca }).filter(([, value]) => value !== undefined);
        return [host, Object.fromEntries(known)];
      },
    ),
  );
}
