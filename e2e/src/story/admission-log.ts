import { readFileSync } from 'node:fs';

interface Line {
  readonly message: string;
  readonly namespace?: string;
  readonly pod?: string;
  readonly images?: string;
}

/**
 * Which rule the webhook applied to each container of a pod, as its own log says: one line per admission, one entry per image,
 * `<kind>:<container> <image> <verdict> <rule>`. Later admissions (ephemeral containers) add to earlier ones.
 */
export function rulesOf(logFile: string, namespace: string, pod: string): Map<string, string> {
  return rulesIn(readFileSync(logFile, 'utf8'), namespace, pod);
}

/** The same, in the log's text. */
export function rulesIn(log: string, namespace: string, pod: string): Map<string, string> {
  const rules = new Map<string, string>();
  for (const text of log.split('\n')) {
    const line = parse(text);
    if (line?.message !== 'admission answered' || line.namespace !== namespace || line.pod !== pod) continue;
    for (const entry of (line.images ?? '').matchAll(/(?:^|[,;] )[a-z]:(\S+) \S+ \S+ ([^\s,;]+)/g))
      rules.set(entry[1]!, entry[2]!);
  }
  return rules;
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}
