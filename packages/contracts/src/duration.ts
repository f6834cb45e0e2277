import { z } from 'zod';

const DURATION_UNITS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `5m`, `1h30m`, `30d`, `250ms`, `1.5s`, `0` -> ms; undefined when it is no duration. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/.test(trimmed)) return undefined;
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g)) {
    total += Number(amount) * DURATION_UNITS[unit!]!;
  }
  return Math.round(total);
}

/** The inverse for people: 5400000 -> `1h30m`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  let rest = Math.round(ms);
  let text = '';
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
    ['ms', 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text;
}

/** A setting that is a duration, written as `500ms`, `5m` or `1h30m`; the value is in ms. Defaults are given in ms: `duration().default(300_000)`. */
export function duration(bounds: { minMs?: number; maxMs?: number } = {}) {
  return z.union([z.string(), z.number()]).transform((written, context) => {
    const ms = parseDuration(String(written));
    if (ms === undefined)
      return refuse(context, `${JSON.stringify(written)} is not a duration; write 500ms, 30s, 5m, 1h30m or 30d`);
    if (ms < (bounds.minMs ?? 0)) return refuse(context, `must be at least ${formatDuration(bounds.minMs ?? 0)}`);
    if (ms > (bounds.maxMs ?? Infinity)) return refuse(context, `must be at most ${formatDuration(bounds.maxMs ?? 0)}`);
    return ms;
  });
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
}
