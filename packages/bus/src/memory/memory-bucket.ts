import type { StateBucket } from '@kuik/contracts';
import { BusError } from '../bus-error.ts';
import { decode, encode } from '../codec.ts';
import { HintFollower } from '../key-follower.ts';
import type { Bucket, Entry, KeyFollower } from '../port.ts';
import type { MemoryServer, MemoryStore } from './memory-server.ts';

/** A bucket in the memory of the server; each write is also told on the key's subject, as NATS does. */
export class MemoryBucket<T> implements Bucket<T> {
  readonly #server: MemoryServer;
  readonly #bucket: StateBucket<T>;
  readonly #create: boolean;
  readonly #onFollow: (follower: KeyFollower) => void;

  constructor(
    server: MemoryServer,
    bucket: StateBucket<T>,
    create: boolean,
    onFollow: (follower: KeyFollower) => void,
  ) {
    this.#onFollow = onFollow;
    this.#server = server;
    this.#bucket = bucket;
    this.#create = create;
  }

  async get(key: string): Promise<Entry<T> | undefined> {
    await Promise.resolve();
    return this.#current(key);
  }

  async compareAndSet(key: string, value: T, expected: number): Promise<number | undefined> {
    const bytes = this.#encode(key, value);
    // Followers also hear of writes that are refused.
    this.#server.emit(this.#subject(key), bytes);
    await Promise.resolve();
    const current = this.#current(key);
    return (current?.revision ?? 0) === expected ? this.#set(key, bytes) : undefined;
  }

  async put(key: string, value: T): Promise<number> {
    const bytes = this.#encode(key, value);
    await Promise.resolve();
    const revision = this.#set(key, bytes);
    this.#server.emit(this.#subject(key), bytes);
    return revision;
  }

  async delete(key: string): Promise<void> {
    await Promise.resolve();
    this.#set(key, undefined);
    this.#server.emit(this.#subject(key), new Uint8Array());
  }

  async keys(): Promise<string[]> {
    await Promise.resolve();
    return [...this.#store().entries].filter(([, { bytes }]) => bytes !== undefined).map(([key]) => key);
  }

  follow(onChange: (key: string, entry: Entry<T> | undefined) => void): KeyFollower {
    const follower = new HintFollower<T>(
      {
        read: (key) => this.get(key),
        watch: (key, onHint) => {
          const end = this.#server.receive(this.#subject(key), {
            queue: undefined,
            receive: (bytes) => {
              if (!this.#server.connected) return;
              const decoded = decode(this.#bucket.schema, bytes, this.#bucket.maxValueBytes);
              onHint({ value: decoded.ok ? decoded.value : undefined });
            },
          });
          return { stop: () => Promise.resolve(end()) };
        },
        onConnected: (listener) => {
          const end = this.#server.onStatus((status) => status === 'connected' && listener());
          return { stop: () => Promise.resolve(end()) };
        },
      },
      onChange,
    );
    this.#onFollow(follower);
    return follower;
  }

  #current(key: string): Entry<T> | undefined {
    const stored = this.#store().entries.get(key);
    if (stored?.bytes === undefined) return undefined;
    const decoded = decode(this.#bucket.schema, stored.bytes, this.#bucket.maxValueBytes);
    return decoded.ok ? { key, value: decoded.value, revision: stored.revision } : undefined;
  }

  #set(key: string, bytes: Uint8Array | undefined): number {
    const store = this.#store();
    store.revision += 1;
    store.entries.set(key, { bytes, revision: store.revision });
    return store.revision;
  }

  #encode(key: string, value: T): Uint8Array {
    return encode(`${this.#bucket.bucket}/${key}`, this.#bucket.schema, value, this.#bucket.maxValueBytes);
  }

  #subject(key: string): string {
    return `$KV.${this.#bucket.bucket}.${key}`;
  }

  #store(): MemoryStore {
    if (!this.#server.connected)
      throw new BusError('disconnected', `cannot use bucket ${this.#bucket.bucket}: not connected`);
    const store = this.#server.store(this.#bucket.bucket, this.#create);
    if (store === undefined) throw new BusError('missing', `bucket ${this.#bucket.bucket} does not exist`);
    return store;
  }
}
