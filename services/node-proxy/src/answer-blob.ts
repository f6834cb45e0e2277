import { blobHead } from './answer.ts';
import { parseRange } from './byte-range.ts';
import type { ClientStream } from './client-stream.ts';
import type { Asked } from './pull-path.ts';
import type { PullRecord } from './pull-record.ts';
import type { BlobRelay } from './relay-blob.ts';

export interface AnswerBlobOptions {
  readonly blobs: Pick<BlobRelay, 'deliver'>;
  /** Monotonic ms. */
  readonly now: () => number;
}

/** Answers a GET of a blob, or of the range of it that was asked for (as in its header). Throws what `BlobRelay.deliver` throws. */
export async function answerBlob(
  { blobs, now }: AnswerBlobOptions,
  { repositories, digest }: Pick<Asked<'blob'>, 'repositories' | 'digest'>,
  range: string | undefined,
  record: PullRecord,
  client: ClientStream,
): Promise<void> {
  record.digest = digest;
  try {
    await blobs.deliver({ repositories, digest, range: parseRange(range), requestId: record.id }, client, (head) => {
      const { status, headers } = blobHead(head, digest, record.id);
      record.status = status;
      record.origin = head.step.from;
      record.reason = head.step.reason;
      record.firstByteMs = now();
      client.start(status, headers);
    });
  } finally {
    record.bytes = client.sent;
  }
}
