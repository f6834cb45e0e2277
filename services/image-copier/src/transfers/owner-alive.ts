/** How long an answer is waited for, ms: of who takes no connection, and of who does and may be busy. Well within what a proxy waits for a copier. */
const PATIENCE = { awayMs: 1_500, busyMs: 3_500 };
const REMEMBERED_MS = 1_000;

/** A copier's process by name: its address, and which of those that ran there one after another. */
export function processName(address: string, instance: string): string {
  return `${address}#${instance}`;
}

/** The instance that answers at an address; `onConnected`: somebody takes connections there. */
type Get = (address: string, signal: AbortSignal, onConnected: () => void) => Promise<string | undefined>;

/**
 * Whether the copier at an address, or the very process of a name, answers; asked at most once a second. No answer within 1.5 s is no, within 3.5 s
 * where connections are taken: its readers would wait as long, and an owner that is only slow loses a transfer, and upstream is read again.
 */
export function ownerAlive(
  get: Get,
  now: () => number,
  { awayMs, busyMs } = PATIENCE,
): (owner: string) => Promise<boolean> {
  const known = new Map<string, { untilMs: number; answers: Promise<string | undefined> }>();
  const look = async (address: string): Promise<string | undefined> => {
    const left = new AbortController();
    const leave = (): void => left.abort();
    const away = setTimeout(leave, awayMs);
    const busy = setTimeout(leave, busyMs);
    try {
      return await get(address, left.signal, () => clearTimeout(away));
    } catch {
      return undefined;
    } finally {
      clearTimeout(away);
      clearTimeout(busy);
    }
  };
  const ask = (address: string): Promise<string | undefined> => {
    const seen = known.get(address);
    if (seen !== undefined && seen.untilMs > now()) return seen.answers;
    if (known.size > 1_000) known.clear();
    const answers = look(address);
    known.set(address, { untilMs: now() + REMEMBERED_MS, answers });
    return answers;
  };
  return async (owner) => {
    const [address, instance] = owner.split('#');
    const answered = await ask(address!);
    return answered !== undefined && (instance === undefined || instance === answered);
  };
}
