import type { JobQueue } from '@kuik/contracts';
import { QueueError } from './queue-error.ts';

export type ReadPayload<T> = { ok: true; payload: T } | { ok: false; reason: string };

/** What came out of the queue, or why it is no payload of this queue; values are never named. */
export function readPayload<T>(queue: JobQueue<T>, data: unknown): ReadPayload<T> {
  const parsed = queue.schema.safeParse(data);
  if (parsed.success) return { ok: true, payload: parsed.data };
  const [issue] = parsed.error.issues;
  const where = issue?.path.map(String).join('.') ?? '';
  return { ok: false, reason: `${where === '' ? '(whole)' : where}: ${issue?.message ?? 'unknown'}` };
}

/** A payload that may go into the queue. Throws QueueError `invalid-payload`. */
export function checkPayload<T>(queue: JobQueue<T>, payload: T): T {
  const read = readPayload(queue, payload);
  if (!read.ok)
    throw new QueueError('invalid-payload', `payload for queue ${queue.queue} does not fit: ${read.reason}`);
  const id = queue.dedupId(read.payload);
  if (id === '' || id.includes(':')) {
    throw new QueueError(
      'invalid-payload',
      `deduplication id for queue ${queue.queue} is ${id === '' ? 'empty' : 'not free of ":"'}`,
    );
  }
  return read.payload;
}
