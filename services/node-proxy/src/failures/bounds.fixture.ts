/**
 * The bounds of waiting, in ms. Who answers may be late on a busy machine, and is given time; who does not is not waited for long. `connect` and
 * `headers` of a part that does not answer are half of `hung` each. `silence`: of a body.
 */
export const BOUNDS = { hung: 500, patience: 250, silence: 1_000, generous: 60_000 } as const;

export const HUNG = { connect: `${BOUNDS.hung / 2}ms`, headers: `${BOUNDS.hung / 2}ms` };

/** What else a pull may take on a busy machine: less than any wait that it should not have. */
export const BUSY_MS = 45_000;

/** Time-outs that only a defect meets. */
export const generousTo = (ms: number) => ({ connect: `${ms}ms`, headers: `${ms}ms`, idle: `${ms}ms` });
