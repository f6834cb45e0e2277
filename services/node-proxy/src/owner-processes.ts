import { answeringProcess } from '@kuik/registry';

/** The process that answers at a copier's address, by the name that it gives itself; undefined when none does. */
export type ProcessAt = (origin: string) => Promise<string | undefined>;

/** Asks copiers over HTTP; one question at a time per address, however many wait for it. No answer within `patienceMs` is none. */
export function processesOver(patienceMs: number): ProcessAt {
  const asked = new Map<string, Promise<string | undefined>>();
  return (origin) => {
    const known = asked.get(origin);
    if (known !== undefined) return known;
    const asking = answeringProcess(origin, AbortSignal.timeout(Math.ceil(patienceMs)))
      .catch(() => undefined)
      .finally(() => asked.delete(origin));
    asked.set(origin, asking);
    return asking;
  };
}

/** Whether who is asked lives, look by look: an address where another process answers than before is not who was asked. */
export function samePlace(processAt: ProcessAt): (origin: string) => Promise<boolean> {
  const before = new Map<string, string>();
  return async (origin) => {
    const now = await processAt(origin);
    if (now === undefined || (before.get(origin) ?? now) !== now) return false;
    before.set(origin, now);
    return true;
  };
}
