import type { JobQueue } from '@kuik/contracts';
import { QueueError } from './queue-error.ts';

/** The payload as the queue's schema reads it. Throws QueueError `invalid-payload`, which names the field and no value. */
export function checkPayload<T>({ queue, schema }: JobQueue<T>, payload: unknown): T {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new QueueError(
    'invalid-payload',
    `job for ${queue} does not fit: ${issue?.path.join('.') || '(whole)'}: ${issue?.message ?? 'unknown'}`,
  );
}
