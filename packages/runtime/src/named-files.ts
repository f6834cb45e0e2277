import { accessSync, constants } from 'node:fs';
import type { Mistake } from './env-overlay.ts';
import { renderPath, type Step } from './setting-paths.ts';

/**
 * The files that settings name and that cannot be read. A setting whose name ends in `File` names one (`redis.passwordFile`,
 * `registries["quay.io"].caFile`), whatever its service does with it.
 */
export function unreadableFiles(settings: unknown, path: readonly Step[] = []): Mistake[] {
  if (Array.isArray(settings)) return settings.flatMap((item, index) => unreadableFiles(item, [...path, index]));
  if (typeof settings === 'object' && settings !== null)
    return Object.entries(settings).flatMap(([key, value]) => unreadableFiles(value, [...path, key]));
  if (typeof settings !== 'string' || !String(path.at(-1)).endsWith('File')) return [];
  try {
    accessSync(settings, constants.R_OK);
    return [];
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    return [{ path: renderPath(path), reason: `cannot read ${settings}: ${why}` }];
  }
}
