import { z } from 'zod';
import { parseDuration } from './units.ts';

/** A duration written as `5m` or `1h30m`; the value is in ms. Defaults are given in ms: `duration().default(300_000)`. */
export function duration(bounds: { minMs?: number; maxMs?: number } = {}) {
  return z.union([z.string(), z.number()]).transform((written, context) => {
    const ms = parseDuration(String(written));
    if (ms === undefined)
      return refuse(context, `${JSON.stringify(written)} is not a duration; write 500ms, 30s, 5m, 1h30m or 30d`);
    if (ms < (bounds.minMs ?? 0)) return refuse(context, `must be at least ${bounds.minMs}ms`);
    if (ms > (bounds.maxMs ?? Infinity)) return refuse(context, `must be at most ${bounds.maxMs}ms`);
    return ms;
  });
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
