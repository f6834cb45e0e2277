import type { StateBucket } from '@kuik/contracts';
import { DiscardPolicy, headers, nanos, RetentionPolicy, StorageType } from 'nats';
import type { Msg, NatsConnection } from 'nats';
import { BusError } from '../bus-error.ts';
import { decode, encode } from '../codec.ts';
import { HintFollower } from '../key-follower.ts';
import type { Bucket, Entry, KeyFollower } from '../port.ts';
import type { Reports } from '../reports.ts';
import { busError, jetStreamCode, JS } from './failure.ts';
import type { Link } from './link.ts';
import type { OwnedStreams, WantedStream } from './owned-streams.ts';
import { LastingSubscription } from './subscription.ts';

const OPERATION = 'KV-Operation';
const TIMEOUT_MS = 2000;
/** Status of a direct answer. */
const NOT_FOUND = 404;

/** The stream behind a key-value bucket, as NATS lays them out (ADR-8), so that its own tools read it too. */
export function bucketStream(bucket: StateBucket<unknown>): WantedStream {
  return {
    name: `KV_${bucket.bucket}`,
    subjects: [`$KV.${bucket.bucket}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    max_bytes: bucket.bucketMaxBytes,
    max_msg_size: bucket.maxValueBytes + 1024,
    duplicate_window: nanos(120_000),
    allow_rollup_hdrs: true,
    deny_delete: true,
    // Such reads may be old in a cluster; the others are asked of the leader.
    allow_direct: bucket.lookedUp === true,
    // Deletion leaves a marker; it goes after a day.
    allow_msg_ttl: true,
  };
}

interface Stored<T> {
  /** undefined: deleted, or not fit to be read. */
  readonly value: T | undefined;
  readonly revision: number;
}

/** A bucket over raw JetStream calls: one request per read and per write. */
export class NatsBucket<T> implements Bucket<T> {
  readonly #link: Link;
  readonly #reports: Reports;
  readonly #bucket: StateBucket<T>;
  readonly #stream: string;
  /** Set for the owner only. */
  readonly #streams: OwnedStreams | undefined;
  readonly #onFollow: (follower: KeyFollower) => void;

  constructor(
    {
      link,
      reports,
      streams,
      onFollow,
    }: { link: Link; reports: Reports; streams: OwnedStreams | undefined; onFollow: (follower: KeyFollower) => void },
    bucket: StateBucket<T>,
  ) {
    this.#onFollow = onFollow;
    this.#link = link;
    this.#reports = reports;
    this.#bucket = bucket;
    this.#stream = `KV_${bucket.bucket}`;
    this.#streams = streams;
  }

  async get(key: string, options: { timeoutMs?: number } = {}): Promise<Entry<T> | undefined> {
    const stored = await this.#repaired(`read ${key}`, () => this.#read(key, options.timeoutMs ?? TIMEOUT_MS));
    return stored?.value === undefined ? undefined : { key, value: stored.value, revision: stored.revision };
  }

  async compareAndSet(key: string, value: T, expected: number): Promise<number | undefined> {
    const written = await this.#repaired(`write ${key}`, () => this.#write(key, value, expected));
    if (written !== undefined || expected !== 0) return written;
    // "Must not exist" also holds for a deleted key, whose marker has a revision.
    const stored = await this.#read(key, TIMEOUT_MS);
    return stored === undefined || stored.value !== undefined ? undefined : this.#write(key, value, stored.revision);
  }

  async put(key: string, value: T): Promise<number> {
    return (await this.#repaired(`write ${key}`, () => this.#write(key, value, undefined)))!;
  }

  async delete(key: string): Promise<void> {
    const marker = headers();
    marker.set(OPERATION, 'DEL');
    marker.set('Nats-TTL', '24h');
    await this.#repaired(`delete ${key}`, () =>
      this.#jetStream().publish(this.#subject(key), new Uint8Array(), { headers: marker, timeout: TIMEOUT_MS }),
    );
  }

  async keys(): Promise<string[]> {
    return this.#repaired('list keys', async () => {
      const view = await this.#jetStream().views.kv(this.#bucket.bucket, { bindOnly: true });
      const keys: string[] = [];
      for await (const key of await view.keys()) keys.push(key);
      return keys;
    });
  }

  follow(onChange: (key: string, entry: Entry<T> | undefined) => void): KeyFollower {
    const follower = new HintFollower<T>(
      {
        read: (key) => this.get(key),
        watch: (key, onHint) =>
          new LastingSubscription(this.#link, this.#reports, this.#subject(key), (message) =>
            onHint({ value: this.#valueOf(message) }),
          ),
        onConnected: (listener) => this.#link.onConnected(() => listener()),
      },
      onChange,
    );
    this.#onFollow(follower);
    return follower;
  }

  #valueOf(message: Msg): T | undefined {
    if (message.headers?.get(OPERATION)) return undefined;
    const decoded = decode(this.#bucket.schema, message.data, this.#bucket.maxValueBytes);
    return decoded.ok ? decoded.value : undefined;
  }

  #read(key: string, timeoutMs: number): Promise<Stored<T> | undefined> {
    return this.#bucket.lookedUp === true ? this.#lookUp(key, timeoutMs) : this.#readFromLeader(key, timeoutMs);
  }

  /** By the one subject of the API that tells of a key and of nothing else (ADR-31), so that a user may be allowed just that. */
  async #lookUp(key: string, timeoutMs: number): Promise<Stored<T> | undefined> {
    const subject = `$JS.API.DIRECT.GET.${this.#stream}.${this.#subject(key)}`;
    const message = await this.#connection().request(subject, undefined, { timeout: timeoutMs });
    const { headers: head } = message;
    const revision = Number(head?.get('Nats-Sequence'));
    if (head?.code === NOT_FOUND) return undefined;
    if (!(revision > 0))
      throw new BusError('refused', `cannot read ${key}: ${head?.description || 'no message in the reply'}`);
    if (head!.has(OPERATION) || head!.has('Nats-Marker-Reason')) return { value: undefined, revision };
    return { value: this.#decoded(key, message.data), revision };
  }

  async #readFromLeader(key: string, timeoutMs: number): Promise<Stored<T> | undefined> {
    const request = JSON.stringify({ last_by_subj: this.#subject(key) });
    const reply = await this.#connection().request(`$JS.API.STREAM.MSG.GET.${this.#stream}`, request, {
      timeout: timeoutMs,
    });
    const { error, message } = reply.json<{
      error?: { err_code: number; description: string };
      message?: { seq: number; data?: string; hdrs?: string };
    }>();
    if (error?.err_code === JS.messageNotFound) return undefined;
    if (error?.err_code === JS.streamNotFound)
      throw new BusError('missing', `bucket ${this.#bucket.bucket} does not exist`);
    if (message === undefined)
      throw new BusError('refused', `cannot read ${key}: ${error?.description ?? 'no message in the reply'}`);
    const head = Buffer.from(message.hdrs ?? '', 'base64').toString();
    if (new RegExp(`^(${OPERATION}|Nats-Marker-Reason):`, 'im').test(head))
      return { value: undefined, revision: message.seq };
    return { value: this.#decoded(key, Buffer.from(message.data ?? '', 'base64')), revision: message.seq };
  }

  #decoded(key: string, bytes: Uint8Array): T | undefined {
    const decoded = decode(this.#bucket.schema, bytes, this.#bucket.maxValueBytes);
    if (decoded.ok) return decoded.value;
    const { reason } = decoded;
    this.#reports.trouble(this.#bucket.bucket, 'invalid', 'entry does not fit its bucket', { key, reason });
    return undefined;
  }

  /** The new revision; undefined when the stored one is not `expected`. */
  async #write(key: string, value: T, expected: number | undefined): Promise<number | undefined> {
    const bytes = encode(`${this.#bucket.bucket}/${key}`, this.#bucket.schema, value, this.#bucket.maxValueBytes);
    const expect = expected === undefined ? {} : { expect: { lastSubjectSequence: expected } };
    try {
      const { seq } = await this.#jetStream().publish(this.#subject(key), bytes, { timeout: TIMEOUT_MS, ...expect });
      return seq;
    } catch (error) {
      if (jetStreamCode(error) === JS.wrongLastSequence) return undefined;
      throw error;
    }
  }

  /** Runs the call; when the bucket is gone and ours to make, makes it and runs the call once more. */
  async #repaired<R>(what: string, call: () => Promise<R>): Promise<R> {
    try {
      return await call();
    } catch (error) {
      const failure = busError(what, error);
      if (this.#streams === undefined || !(failure.code === 'missing' || failure.code === 'no-responders'))
        throw failure;
    }
    try {
      await this.#streams.ensure(this.#stream);
      return await call();
    } catch (error) {
      throw busError(what, error);
    }
  }

  #subject(key: string): string {
    if (!/^[\w-]+(\.[\w-]+)*$/.test(key))
      throw new BusError('invalid-payload', `${JSON.stringify(key.slice(0, 80))} is no key of a bucket`);
    return `$KV.${this.#bucket.bucket}.${key}`;
  }

  #connection(): NatsConnection {
    const connection = this.#link.connection();
    if (connection === undefined)
      throw new BusError('disconnected', `cannot use bucket ${this.#bucket.bucket}: not connected to NATS`);
    return connection;
  }

  #jetStream(): ReturnType<NatsConnection['jetstream']> {
    return this.#connection().jetstream({ timeout: TIMEOUT_MS });
  }
}
