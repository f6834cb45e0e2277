import { Readable } from 'node:stream';
import { RegistryError } from './errors.ts';
import { DigestGate, gated } from './verify.ts';
import type { ByteSink, OpenBlob } from './port.ts';

/** Where an open blob's bytes come from. */
export interface BlobBody {
  totalSize: number;
  offset: number;
  length: number;
  contentType: string;
  /** Digest to check; only bodies that are whole are. */
  verify?: string | undefined;
  /** See OpenBlob. */
  vouched?: boolean;
  pump(sink: ByteSink, signal?: AbortSignal): Promise<void>;
  cancel(): void;
}

/** An OpenBlob over any body: verified when whole, delivered once, readable as a stream. */
export function openBlobOver(body: BlobBody): OpenBlob {
  let used = false;
  const deliver = (sink: ByteSink, signal?: AbortSignal): Promise<void> => {
    if (used) return Promise.reject(new RegistryError('aborted', 'this blob was already read or cancelled'));
    used = true;
    const whole = body.offset === 0 && body.length === body.totalSize;
    return body.verify === undefined || !whole ? body.pump(sink, signal) : verified(body.verify, sink, signal);
  };
  const verified = async (digest: string, sink: ByteSink, signal: AbortSignal | undefined): Promise<void> => {
    let delivered = 0;
    const counting: ByteSink = (chunk) => {
      delivered += chunk.length;
      return sink(chunk);
    };
    try {
      await body.pump(gated(new DigestGate(digest, body.length), counting), signal);
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'digest-mismatch') {
        throw new RegistryError('digest-mismatch', error.message, { cause: error, bytesDelivered: delivered });
      }
      throw error;
    }
  };
  return {
    totalSize: body.totalSize,
    offset: body.offset,
    length: body.length,
    contentType: body.contentType,
    ...(body.vouched === true ? { vouched: true } : {}),
    deliver,
    stream: () => streamOf(deliver),
    cancel: () => {
      if (used) return;
      used = true;
      body.cancel();
    },
  };
}

/** The whole of a small blob. Throws `too-large` before reading when it is not small. */
export async function readBlob(blob: OpenBlob, maxBytes: number, signal?: AbortSignal): Promise<Buffer> {
  if (blob.length > maxBytes) {
    blob.cancel();
    throw new RegistryError('too-large', `the blob has ${blob.length} bytes, more than ${maxBytes}`);
  }
  const parts: Buffer[] = [];
  await blob.deliver((chunk) => void parts.push(Buffer.from(chunk)), signal);
  return Buffer.concat(parts);
}

/** Copies chunks out of the lender's buffers, one at a time as the consumer asks. */
function streamOf(deliver: OpenBlob['deliver']): Readable {
  const gone = new AbortController();
  let wanted: (() => void) | undefined;
  let started = false;
  const stream = new Readable({
    read() {
      wanted?.();
      wanted = undefined;
      if (started) return;
      started = true;
      const sink: ByteSink = (chunk) => {
        if (stream.push(Buffer.from(chunk))) return undefined;
        return new Promise((resolve) => (wanted = resolve));
      };
      deliver(sink, gone.signal).then(
        () => stream.push(null),
        (error: Error) => stream.destroy(error),
      );
    },
    destroy(error, callback) {
      gone.abort();
      wanted?.();
      callback(error);
    },
  });
  return stream;
}
