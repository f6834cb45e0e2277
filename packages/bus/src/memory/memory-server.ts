import type { BusStatus } from '../port.ts';
import { MemoryStream } from './memory-stream.ts';

interface Receiver {
  readonly queue: string | undefined;
  readonly receive: (bytes: Uint8Array, reply: ((bytes: Uint8Array) => void) | undefined) => void;
}

/** What is stored under a key; `bytes` undefined is the marker of a deletion. */
export interface MemoryEntry {
  readonly bytes: Uint8Array | undefined;
  readonly revision: number;
}

export interface MemoryStore {
  readonly entries: Map<string, MemoryEntry>;
  revision: number;
}

/** What the server of the in-memory buses holds. Delivery is asynchronous, as over a wire. */
export class MemoryServer {
  readonly #receivers = new Map<string, Set<Receiver>>();
  readonly #streams = new Map<string, MemoryStream>();
  readonly #stores = new Map<string, MemoryStore>();
  readonly #statusListeners = new Set<(status: BusStatus) => void>();
  #connected = true;
  #lossListeners = new Set<() => void>();

  get connected(): boolean {
    return this.#connected;
  }

  /** As if NATS went away: hints are dropped, calls fail with `disconnected`, subscriptions wait. */
  disconnect(): void {
    this.#connected = false;
    for (const listener of [...this.#statusListeners]) listener('reconnecting');
  }

  reconnect(): void {
    this.#connected = true;
    for (const listener of [...this.#statusListeners]) listener('connected');
  }

  /** As if the server lost its disk: every stream and bucket is empty and must be made anew. */
  loseData(): void {
    this.#streams.clear();
    this.#stores.clear();
    for (const listener of [...this.#lossListeners]) listener();
  }

  /** Dead letters of a stream, oldest first. */
  deadLetters(stream: string): { payload: unknown; reason: string }[] {
    return (this.#streams.get(stream)?.dead ?? []).map(({ bytes, reason }) => ({
      payload: JSON.parse(new TextDecoder().decode(bytes)) as unknown,
      reason,
    }));
  }

  /** Puts raw bytes on a subject, as a stranger would. */
  inject(subject: string, bytes: Uint8Array): void {
    this.emit(subject, bytes);
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#statusListeners.add(listener);
    return () => this.#statusListeners.delete(listener);
  }

  onLoss(listener: () => void): () => void {
    this.#lossListeners.add(listener);
    return () => this.#lossListeners.delete(listener);
  }

  receive(subject: string, receiver: Receiver): () => void {
    const receivers = this.#receivers.get(subject) ?? new Set();
    this.#receivers.set(subject, receivers.add(receiver));
    return () => receivers.delete(receiver);
  }

  /** Delivers to every plain receiver and to one of each queue; returns to how many. */
  emit(subject: string, bytes: Uint8Array, reply?: (bytes: Uint8Array) => void): number {
    const chosen = new Set<Receiver>();
    const queues = new Map<string, Receiver[]>();
    for (const receiver of this.#receivers.get(subject) ?? []) {
      if (receiver.queue === undefined) chosen.add(receiver);
      else queues.set(receiver.queue, [...(queues.get(receiver.queue) ?? []), receiver]);
    }
    for (const members of queues.values()) chosen.add(members[Math.floor(Math.random() * members.length)]!);
    for (const receiver of chosen) setImmediate(() => receiver.receive(bytes, reply));
    return chosen.size;
  }

  stream(name: string, create: boolean): MemoryStream | undefined {
    const stream = this.#streams.get(name) ?? (create ? new MemoryStream() : undefined);
    if (stream !== undefined) this.#streams.set(name, stream);
    return stream;
  }

  store(name: string, create: boolean): MemoryStore | undefined {
    const store =
      this.#stores.get(name) ?? (create ? { entries: new Map<string, MemoryEntry>(), revision: 0 } : undefined);
    if (store !== undefined) this.#stores.set(name, store);
    return store;
  }
}
