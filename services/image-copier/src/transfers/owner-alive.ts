/** Longer than a busy process is silent, and well within what a proxy waits for a copier. */
const PATIENCE_MS = 1_500;
const REMEMBERED_MS = 1_000;

/** A copier's process by name: its address, and which of those that ran there one after another. */
export function processName(address: string, instance: string): string {
  return `${address}#${instance}`;
}

/**
 * Whether the copier at an address, or the very process of a name, answers; asked at most once a second. No answer within 1.5 s is no: its
 * readers would wait as long, and an owner that is only slow loses a transfer and nothing else. `get`: the instance that answers, or undefined.
 */
export function ownerAlive(
  get: (address: string, signal: AbortSignal) => Promise<string | undefined>,
  now: () => number,
): (owner: string) => Promise<boolean> {
  const known = new Map<string, { untilMs: number; answers: Promise<string | undefined> }>();
  const ask = (address: string): Promise<string | undefined> => {
    const seen = known.get(address);
    if (seen !== undefined && seen.untilMs > now()) return seen.answers;
    if (known.size > 1_000) known.clear();
    const answers = get(address, AbortSignal.timeout(PATIENCE_MS)).catch(() => undefined);
    known.set(address, { untilMs: now() + REMEMBERED_MS, answers });
    return answers;
  };
  return async (owner) => {
    const [address, instance] = owner.split('#');
    const answered = await ask(address!);
    return answered !== undefined && (instance === undefined || instance === answered);
  };
}
