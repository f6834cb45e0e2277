import { readFileSync } from 'node:fs';
import { linesOf } from './log-lines.ts';
import { until, WaitTimeout } from '@kuik/testbed';

interface Line {
  readonly message: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly images?: string;
}

/** The webhook answers first and tells of it afterwards; a line that is later than this does not come. */
const TOLD_WITHIN_MS = 5_000;

/**
 * Which rule the webhook applied to each container of a pod, as its own log says: one line per admission, one entry per image,
 * `<kind>:<container> <image> <verdict> <rule>`. Later admissions (ephemeral containers) add to earlier ones. Waits until all of
 * `containers` are told of; one that never is, is missing in what it gives.
 */
export async function rulesOf(
  logFile: string,
  { namespace, pod }: { namespace: string; pod: string },
  containers: readonly string[],
): Promise<Map<string, string>> {
  const read = (): Map<string, string> => rulesIn(readFileSync(logFile, 'utf8'), namespace, pod);
  const whole = (): Map<string, string> | undefined => {
    const rules = read();
    return containers.every((name) => rules.has(name)) ? rules : undefined;
  };
  try {
    return await until(whole, { timeoutMs: TOLD_WITHIN_MS, what: `rules for ${containers.join(', ')} in ${logFile}` });
  } catch (error) {
    if (error instanceof WaitTimeout) return read();
    throw error;
  }
}

/** The rules that a log's text tells of so far. */
export function rulesIn(log: string, namespace: string, pod: string): Map<string, string> {
  const rules = new Map<string, string>();
  for (const line of linesOf(log) as Iterable<Line>) {
    if (line.message !== 'admission answered' || line.namespace !== namespace || line.pod !== pod) continue;
    for (const entry of (line.images ?? '').matchAll(/(?:^|[,;] )[a-z]:(\S+) \S+ \S+ ([^\s,;]+)/g))
      rules.set(entry[1]!, entry[2]!);
  }
  return rules;
}
