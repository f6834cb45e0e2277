import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditedRequest, AuditLog } from './audit-log.ts';

/** Our services are quiet when they asked nothing of the API server for this long, watches and Lease renewals apart. */
export const QUIET_MS = 5_000;
const LOOK_EVERY_MS = 200;

export interface Activity {
  /** Seconds from `since` to the end of the last request; the quiet time itself is not counted. */
  readonly seconds: number;
  readonly requests: readonly AuditedRequest[];
}

/** Waits until nothing was asked for `QUIET_MS`, from now on. `since` is epoch ms; throws after `timeoutMs`. */
export async function untilQuiet(audit: AuditLog, since: number, timeoutMs = 300_000): Promise<Activity> {
  const requests: AuditedRequest[] = [];
  const from = Date.now();
  let last = since;
  while (Date.now() - Math.max(last, from) < QUIET_MS) {
    if (Date.now() - since > timeoutMs) throw new Error(`not quiet after ${timeoutMs / 1000} s`);
    await sleep(LOOK_EVERY_MS);
    for (const request of audit.take()) {
      requests.push(request);
      last = Math.max(last, request.endedAt);
    }
  }
  return { seconds: (last - since) / 1000, requests };
}
