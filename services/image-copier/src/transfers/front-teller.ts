const EVERY_MS = 25;

/**
 * Says how far a spool has come, at most every 25 ms: what is read in less is told to nobody. A front that is told a little too low makes readers of the bytes
 * between not wait for the spool when its owner dies. `now`: monotonic ms.
 */
export function frontTeller(
  tell: (upTo: number) => void,
  now: () => number,
  everyMs = EVERY_MS,
): (upTo: number) => void {
  let front = 0;
  let toldMs = now();
  return (upTo) => {
    if (upTo <= front) return;
    front = upTo;
    const nowMs = now();
    if (nowMs - toldMs < everyMs) return;
    toldMs = nowMs;
    tell(front);
  };
}
