import { deadLetterStream } from '@kuik/contracts';
import type { DurableStream } from '@kuik/contracts';
import { DiscardPolicy, nanos, RetentionPolicy, StorageType } from 'nats';
import { BusError } from '../bus-error.ts';
import { encode } from '../codec.ts';
import type { Reports } from '../reports.ts';
import { busError } from './failure.ts';
import type { Link } from './link.ts';
import type { WantedStream } from './owned-streams.ts';

const DEAD_LETTERS_MS = 7 * 86_400_000;
/** Headers count as part of a message's size. */
const HEADER_BYTES = 4096;

/** The stream of a durable subject: oldest messages go first when it is full or they are too old. */
export function wantedStream(stream: DurableStream<unknown>): WantedStream {
  return { ...common(stream), name: stream.stream, subjects: [stream.subject], max_age: nanos(stream.maxAgeMs) };
}

/** Where what was refused is kept for a week, to be looked at. */
export function wantedDeadLetters(stream: DurableStream<unknown>): WantedStream {
  return {
    ...common(stream),
    name: deadLetterStream(stream),
    subjects: [stream.deadLetters],
    max_age: nanos(DEAD_LETTERS_MS),
  };
}

function common(stream: DurableStream<unknown>): Omit<WantedStream, 'name'> {
  return {
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_bytes: stream.streamMaxBytes,
    max_msg_size: stream.maxBytes + HEADER_BYTES,
    duplicate_window: nanos(stream.dedupMs),
  };
}

/** Publishes and waits for the server's acknowledgement. Throws BusError. */
export async function publishDurable<T>(
  link: Link,
  reports: Reports,
  stream: DurableStream<T>,
  payload: T,
  { dedupId, timeoutMs = 5000 }: { dedupId?: string; timeoutMs?: number },
): Promise<void> {
  const bytes = encode(stream.subject, stream.schema, payload, stream.maxBytes);
  const connection = link.connection();
  if (connection === undefined) {
    reports.count(stream.subject, 'dropped');
    throw new BusError('disconnected', `cannot publish ${stream.subject}: not connected to NATS`);
  }
  try {
    await connection
      .jetstream({ timeout: timeoutMs })
      .publish(stream.subject, bytes, { timeout: timeoutMs, ...(dedupId === undefined ? {} : { msgID: dedupId }) });
    reports.count(stream.subject, 'published');
  } catch (error) {
    reports.count(stream.subject, 'failed');
    throw busError(`publish ${stream.subject}`, error);
  }
}
