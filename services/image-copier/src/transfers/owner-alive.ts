const PATIENCE_MS = 500;
const REMEMBERED_MS = 1_000;

/**
 * Whether the copier at an address answers, asked at most once a second. No answer within half a second is no: its readers would wait as
 * long, and an owner that is only slow loses a transfer and nothing else.
 */
export function ownerAlive(get: (url: string, signal: AbortSignal) => Promise<boolean>, now: () => number) {
  const known = new Map<string, { untilMs: number; alive: Promise<boolean> }>();
  return (address: string): Promise<boolean> => {
    const seen = known.get(address);
    if (seen !== undefined && seen.untilMs > now()) return seen.alive;
    if (known.size > 1_000) known.clear();
    const alive = get(`${address}/v2/`, AbortSignal.timeout(PATIENCE_MS)).catch(() => false);
    known.set(address, { untilMs: now() + REMEMBERED_MS, alive });
    return alive;
  };
}

/** Over HTTP, to our own kind. */
export async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  const response = await fetch(url, { signal, redirect: 'error' });
  await response.body?.cancel();
  return response.status === 200;
}
