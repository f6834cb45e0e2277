import { setTimeout as sleep } from 'node:timers/promises';
import { abortedError, RegistryError } from './errors.ts';
import { BlobFinder } from './find-blob.ts';
import { blobSource, openResuming } from './resume.ts';
import { DigestGate } from './verify.ts';
import type { BlobTurn, BlobTurns } from './blob-turns.ts';
import type { UploadSessions } from './upload-sessions.ts';
import type { Descriptor } from './plan.ts';
import type { ByteSink, RepositoryClient, Upload } from './port.ts';

/** Up to here one PUT is tried anew as a whole; larger blobs go in PATCHes, whose bytes survive a cut. */
const WHOLE_MAX = 8 * 1024 * 1024;
const FAILURES_MAX = 5;
/** How often a copy lets itself be sent somewhere to look before it goes on by itself. */
const LOOKS_MAX = 4;
const SOURCE_ROUNDS = 4;

export interface BlobCopy {
  source: RepositoryClient;
  target: RepositoryClient;
  blob: Descriptor;
  turns: BlobTurns;
  /** The bytes, when they are at hand. */
  inline: Buffer | undefined;
  /** Where uploads are that somebody else began; absent: each begins its own. */
  sessions?: UploadSessions | undefined;
  /** Longest PATCH. */
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
  const { target, blob, turns } = copy;
  const finder = new BlobFinder(copy);
  try {
    for (let looks = 0; ; looks += 1) {
      const turn = looks < LOOKS_MAX ? await takeTurn(copy, finder.tried) : ownTurn(copy);
      if (turn.do === 'bring') return await bring(copy, finder, turn);
      const found = await finder.lookIn(turn.in);
      if (found === undefined) continue;
      // Also what was known: it is remembered from now on.
      turns.landed(blob.digest, target.repository, blob.size);
      return found;
    }
  } finally {
    await finder.takeSession()?.abort();
  }
}

type Turn = Extract<BlobTurn, { do: 'bring' }>;

async function bring(copy: BlobCopy, finder: BlobFinder, turn: Turn): Promise<'present' | 'copied'> {
  let landedIn: string | undefined;
  try {
    const outcome = (await finder.lookAtTarget()) ?? (await new Transfer(copy).run(finder.takeSession()));
    landedIn = copy.target.repository;
    return outcome;
  } finally {
    await turn.end(landedIn);
  }
}

/** Whose turn it is; ours without asking when the bytes are here already, or when nobody can tell. */
async function takeTurn(copy: BlobCopy, except: readonly string[]): Promise<BlobTurn> {
  if (copy.inline !== undefined) return ownTurn(copy);
  try {
    return await copy.turns.take(copy.blob.digest, { size: copy.blob.size, except, signal: copy.signal });
  } catch {
    if (copy.signal.aborted) throw abortedError(`copying blob ${copy.blob.digest}`, copy.signal);
    return ownTurn(copy);
  }
}

function ownTurn({ blob, turns }: BlobCopy): Turn {
  return {
    do: 'bring',
    end: (landedIn) => {
      if (landedIn !== undefined) turns.landed(blob.digest, landedIn, blob.size);
      return Promise.resolve();
    },
  };
}

class Transfer {
  readonly #copy: BlobCopy;
  /** Absent for the rest of an upload that another process began: the registry hashes the whole before it commits. */
  #gate: DigestGate | undefined;
  /** The registry refused what was not hashed here. */
  #anew = false;
  /** The source's own failure: retrying the upload would not help. */
  #sourceFailed = false;
  #furthest = 0;

  constructor(copy: BlobCopy) {
    this.#copy = copy;
    this.#gate = new DigestGate(copy.blob.digest, copy.blob.size);
  }

  async run(first: Upload | undefined): Promise<'copied'> {
    const { target, blob, signal } = this.#copy;
    const continued = await this.#continued();
    if (continued !== undefined) {
      await first?.abort();
      this.#gate = undefined;
      this.#furthest = continued.at;
    }
    let upload = continued?.upload ?? first ?? (await this.#session());
    let at = continued?.at ?? 0;
    for (let failures = 0; ; failures += 1) {
      try {
        this.#note(upload);
        await this.#send(upload, at);
        return 'copied';
      } catch (error) {
        if (!this.#anew && this.#gate?.trusted !== false && isRefusal(error)) {
          // What another process had sent, or somebody vouched for, was not this blob: once more from the start.
          this.#anew = true;
          await upload.abort();
          this.#gate = new DigestGate(blob.digest, blob.size);
          upload = await this.#session();
          at = this.#furthest = 0;
          continue;
        }
        if (!this.#mayContinue(error) || failures >= FAILURES_MAX || signal.aborted) {
          if (!this.#leaves(error)) await upload.abort();
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

  /** The session that a process before us left, at the byte that the registry has of it. */
  async #continued(): Promise<{ upload: Upload; at: number } | undefined> {
    const { blob, target, sessions, signal } = this.#copy;
    if (blob.size <= WHOLE_MAX) return undefined;
    const location = await sessions?.find(blob.digest, target.repository);
    if (location === undefined) return undefined;
    try {
      const upload = target.continueUpload(location);
      const at = await upload.offset(signal);
      return at > 0 && at <= blob.size ? { upload, at } : undefined;
    } catch (error) {
      if (signal.aborted) throw error;
      return undefined;
    }
  }

  /** Whether the session stays for whoever goes on: what it holds is right as far as anybody knows. */
  #leaves(error: unknown): boolean {
    const { blob, sessions, signal } = this.#copy;
    if (sessions === undefined || blob.size <= WHOLE_MAX) return false;
    return signal.aborted || (error instanceof RegistryError && error.retry && error.code !== 'digest-mismatch');
  }

  #note(upload: Upload): void {
    const { blob, target, sessions } = this.#copy;
    if (blob.size > WHOLE_MAX) sessions?.began(blob.digest, target.repository, upload.location);
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
      this.#note(upload);
    }
    await upload.commit(blob.digest, signal);
  }

  /** Bytes `offset`..`offset + length` of the source into `sink`, through the gate unless the source vouches for them. */
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
        this.#gate?.pass(part, offset);
        return await counting(part);
      }
      const whole = offset === 0 && length === blob.size;
      const open = await openResuming({
        sources: [blobSource(source.host, source, blob.digest, blob.size)],
        digest: blob.digest,
        ...(whole ? {} : { offset, end: offset + length - 1 }),
        ...(this.#gate === undefined ? { verify: false } : { gate: this.#gate }),
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

/** The registry's last word on the bytes of a session. */
function isRefusal(error: unknown): boolean {
  return error instanceof RegistryError && !error.retry && error.status === 400;
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const ms = 200 * 2 ** failures * (0.5 + Math.random() / 2);
  await sleep(ms, undefined, { signal }).catch(() => {
    throw abortedError('uploading', signal);
  });
}
