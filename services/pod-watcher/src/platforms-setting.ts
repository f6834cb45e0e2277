import { parsePlatform } from '@kuik/image';
import { z } from 'zod';

/** Platforms by name, or where they are taken from. */
export type PlatformsSetting = 'auto' | 'all' | readonly string[];

/** Setting `platforms`: `auto`, `all`, or platforms as a list (in the environment: with commas). */
export const platformsSetting = z
  .union([z.string(), z.array(z.string())])
  .default('auto')
  .transform((written, context): PlatformsSetting => {
    if (written === 'auto' || written === 'all') return written;
    const list = typeof written === 'string' ? written.split(',').map((one) => one.trim()) : written;
    const wrong = list.find((one) => parsePlatform(one) === undefined);
    if (list.length > 0 && wrong === undefined) return list;
    const message = `must be auto, all, or platforms such as linux/amd64 and linux/arm/v7${wrong === undefined ? '' : `; "${wrong.slice(0, 60)}" is none`}`;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .describe(
    "Which platforms of an image are copied: auto (those of the cluster's nodes), all, or a list; the others are fetched when somebody pulls them, and kept then",
  );
