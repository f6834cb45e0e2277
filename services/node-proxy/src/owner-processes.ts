import { answeringProcess } from '@kuik/registry';

/** The process that answers at a copier's address, by the name that it gives itself; undefined when none does. */
export type ProcessAt = (origin: string) => Promise<string | undefined>;

export interface ProcessesOptions {
  /** No answer within this is none, of one that is not known to be busy. */
  readonly answerMs: number;
  /** One that takes connections, and said elsewhere within this time that it is there, is busy: it is waited for `BUSY` times as long. */
  readonly saidMs: number;
  /** How long ago the copier at an address said elsewhere that it is there; undefined: it did not. */
  readonly sinceSaidMs: (origin: string) => number | undefined;
}

const BUSY = 3;

/** Asks copiers over HTTP; one question at a time per address, however many wait for it. */
export function processesOver({ answerMs, saidMs, sinceSaidMs }: ProcessesOptions): ProcessAt {
  const asked = new Map<string, Promise<string | undefined>>();
  const look = async (origin: string): Promise<string | undefined> => {
    const left = new AbortController();
    let connected = false;
    let looks = 0;
    const isBusy = (): boolean => connected && (sinceSaidMs(origin) ?? Infinity) < saidMs;
    const timer = setInterval(() => {
      if ((looks += 1) === BUSY || !isBusy()) left.abort();
    }, answerMs);
    try {
      return await answeringProcess(origin, left.signal, () => (connected = true));
    } catch {
      return undefined;
    } finally {
      clearInterval(timer);
    }
  };
  return (origin) => {
    const known = asked.get(origin);
    if (known !== undefined) return known;
    const asking = look(origin).finally(() => asked.delete(origin));
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
