import type { IncomingMessage } from 'node:http';
import { MalformedReview } from './review.ts';

/** A sender that goes on for this many times the limit is cut off instead of answered. */
const DRAIN_FACTOR = 4;

/**
 * The whole body, at most `limit` bytes. Throws MalformedReview 413 for a longer one, after reading (and dropping) the rest: a client
 * that is answered while it still sends sees a reset connection instead of the answer. Throws MalformedReview 408 when it has not ended after
 * `patienceMs`, and an error when the client goes away.
 */
export function readBody(request: IncomingMessage, limit: number, patienceMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new MalformedReview(408, `the body did not end within ${patienceMs / 1000} s`));
    }, patienceMs);
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= limit) chunks.push(chunk);
      else chunks.length = 0;
      if (length > limit * DRAIN_FACTOR) request.destroy();
    });
    request.on('end', () => {
      clearTimeout(timer);
      if (length > limit) reject(new MalformedReview(413, `the body is larger than ${limit} bytes`));
      else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length));
    });
    request.on('error', reject);
    request.on('close', () => {
      clearTimeout(timer);
      reject(new Error('the client went away'));
    });
  });
}
