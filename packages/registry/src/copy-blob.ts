import { setTimeout as sleep } from 'node:timers/promises';
import { abortedError, RegistryError } from './errors.ts';
import { blobSource, openResuming } from './resume.ts';
import { DigestGate } from './verify.ts';
import type { Descriptor } from './plan.ts';
import type { ByteSink, RepositoryClient, Upload } from './port.ts';

/** Up to here one PUT is tried anew as a whole; larger blobs go in PATCHes, whose bytes survive a cut. */
const WHOLE_MAX = 8 * 1024 * 1024;
const FAILURES_MAX = 5;
const MOUNTS_MAX = 2;
const SOURCE_ROUNDS = 4;

export interface BlobCopy {
  source: RepositoryClient;
  target: RepositoryClient;
  blob: Descriptor;
  /** Repositories of the target's registry that may hold the blob. */
  mountFrom: readonly string[];
  /** The bytes, when they are at hand. */
  inline: Buffer | undefined;
  chunkBytes: number;
  signal: AbortSignal;
  /** Bytes of this blob that the target has taken so far. */
  onBytes: (done: number) => void;
}

/**
 * Brings one blob to the target: already there, else mounted from a sibling, else sent. The source is resumed at the byte reached, the
 * upload at the byte that the session says it has. A wrong digest is found before the last bytes leave; the session is then deleted.
 */
export async function copyBlob(copy: BlobCopy): Promise<'present' | 'mounted' | 'copied'> {
  const { target, blob, signal } = copy;
  let upload: Upload | undefined;
  for (const from of copy.mountFrom.filter((name) => name !== target.repository).slice(0, MOUNTS_MAX)) {
    await upload?.abort();
    const answer = await target.startUpload({ mount: { digest: blob.digest, from }, signal });
    if (answer.mounted) return 'mounted';
    upload = answer.upload;
  }
  if ((await target.headBlob(blob.digest, { signal })) !== undefined) {
    await upload?.abort();
    return 'present';
  }
  return new Transfer(copy).run(upload);
}

class Transfer {
  readonly #copy: BlobCopy;
  readonly #gate: DigestGate;
  /** The source's own failure: retrying the upload would not help. */
  #sourceFailed = false;
  #furthest = 0;

  constructor(copy: BlobCopy) {
    this.#copy = copy;
    this.#gate = new DigestGate(copy.blob.digest, copy.blob.size);
  }

  async run(first: Upload | undefined): Promise<'present' | 'copied'> {
    const { target, blob, signal } = this.#copy;
    let upload = first ?? (await this.#session());
    let at = 0;
    for (let failures = 0; ; failures += 1) {
      try {
        await this.#send(upload, at);
        return 'copied';
      } catch (error) {
        if (!this.#mayContinue(error) || failures >= FAILURES_MAX || signal.aborted) {
          await upload.abort();
          throw error;
        }
        const resumed = await this.#resumeAt(upload, error);
        if (resumed === undefined) {
          // Gone because it was committed, and only the answer was lost?
          if ((await target.headBlob(blob.digest, { signal })) !== undefined) return 'copied';
          upload = await this.#session();
        }
        if (resumed !== undefined && resumed > at) failures = 0;
        at = resumed ?? 0;
        this.#copy.onBytes(at);
      }
    }
  }

  async #session(): Promise<Upload> {
    const answer = await this.#copy.target.startUpload({ signal: this.#copy.signal });
    if (answer.mounted)
      throw new RegistryError('invalid-response', `${this.#copy.target.host} mounted what nobody asked for`);
    return answer.upload;
  }

  async #send(upload: Upload, start: number): Promise<void> {
    const { blob, signal } = this.#copy;
    const chunkBytes = Math.max(this.#copy.chunkBytes, upload.chunkMinBytes);
    if (start === 0 && blob.size <= Math.min(WHOLE_MAX, chunkBytes)) {
      await upload.putWhole((sink) => this.#read(0, blob.size, sink), blob.size, blob.digest, signal);
      return;
    }
    let at = start;
    while (at < blob.size) {
      const offset = at;
      const length = Math.min(chunkBytes, blob.size - offset);
      await upload.write((sink) => this.#read(offset, length, sink), offset, length, signal);
      at += length;
    }
    await upload.commit(blob.digest, signal);
  }

  /** Bytes `offset`..`offset + length` of the source into `sink`, through the gate. */
  async #read(offset: number, length: number, sink: ByteSink): Promise<void> {
    const { source, blob, inline, signal } = this.#copy;
    let sinkFailed = false;
    let at = offset;
    const counting: ByteSink = async (chunk) => {
      try {
        await sink(chunk);
      } catch (error) {
        sinkFailed = true;
        throw error;
      }
      at += chunk.length;
      this.#furthest = Math.max(this.#furthest, at);
      this.#copy.onBytes(at);
    };
    try {
      if (inline !== undefined) {
        const part = inline.subarray(offset, offset + length);
        this.#gate.pass(part, offset);
        return await counting(part);
      }
      const whole = offset === 0 && length === blob.size;
      const open = await openResuming({
        sources: [blobSource(source.host, source, blob.digest)],
        digest: blob.digest,
        ...(whole ? {} : { offset, end: offset + length - 1 }),
        gate: this.#gate,
        rounds: SOURCE_ROUNDS,
        signal,
      });
      if (open.totalSize !== blob.size) {
        open.cancel();
        const message = `blob ${blob.digest} of ${source.host}/${source.repository} has ${open.totalSize} bytes, its manifest says ${blob.size}`;
        throw new RegistryError('digest-mismatch', message);
      }
      await open.deliver(counting, signal);
    } catch (error) {
      if (!sinkFailed) this.#sourceFailed = true;
      throw error;
    }
  }

  #mayContinue(error: unknown): boolean {
    if (this.#sourceFailed || !(error instanceof RegistryError)) return false;
    // 404: the session is gone (or the commit's answer was lost); 416: it has another offset than we thought.
    return error.retry || error.code === 'not-found' || error.code === 'range-not-satisfiable';
  }

  /** Where the session stands, once the target answers again; undefined when the session is gone. Throws `cause` when it does not. */
  async #resumeAt(upload: Upload, cause: unknown): Promise<number | undefined> {
    const { signal } = this.#copy;
    for (let attempt = 0; attempt < FAILURES_MAX; attempt += 1) {
      await pause(attempt, signal);
      try {
        const offset = await upload.offset(signal);
        if (offset <= this.#furthest) return offset;
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof RegistryError && error.retry) continue;
      }
      await upload.abort();
      return undefined;
    }
    throw cause;
  }
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const ms = 200 * 2 ** failures * (0.5 + Math.random() / 2);
  await sleep(ms, undefined, { signal }).catch(() => {
    throw abortedError('uploading', signal);
  });
}
