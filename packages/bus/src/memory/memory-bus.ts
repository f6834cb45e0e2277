import type { DurableStream, RequestSubject, StateBucket, Subject } from '@kuik/contracts';
import { BusError } from '../bus-error.ts';
import { decode, encode } from '../codec.ts';
import { pause } from '../pause.ts';
import type { Bucket, Bus, BusReports, BusStatus, Delivery, Stoppable, Verdict } from '../port.ts';
import { Reports } from '../reports.ts';
import { settle } from '../settle.ts';
import { MemoryBucket } from './memory-bucket.ts';
import { MemoryServer } from './memory-server.ts';

/** A bus in this process. Give two of them the same server to let them talk. */
export function memoryBus(server = new MemoryServer(), reports: BusReports = {}): Bus {
  return new MemoryBus(server, reports);
}

class MemoryBus implements Bus {
  readonly #server: MemoryServer;
  readonly #reports: Reports;
  readonly #ending = new AbortController();
  readonly #ends = new Set<() => void>();
  readonly #consuming = new Set<Promise<void>>();

  constructor(server: MemoryServer, reports: BusReports) {
    this.#server = server;
    this.#reports = new Reports(reports);
  }

  publish<T>({ subject, schema, maxBytes }: Subject<T>, payload: T): void {
    const bytes = encode(subject, schema, payload, maxBytes);
    const connected = this.status() === 'connected';
    if (connected) this.#server.emit(subject, bytes);
    this.#reports.count(subject, connected ? 'published' : 'dropped');
  }

  subscribe<T>(
    { subject, schema, maxBytes }: Subject<T>,
    onMessage: (payload: T) => void | Promise<void>,
    options: { queue?: string } = {},
  ): Stoppable {
    return this.#receive(subject, options.queue, async (bytes) => {
      const decoded = decode(schema, bytes, maxBytes);
      if (!decoded.ok)
        return this.#reports.trouble(subject, 'invalid', 'message does not fit its subject', {
          reason: decoded.reason,
        });
      await onMessage(decoded.value);
      this.#reports.count(subject, 'received');
    });
  }

  async request<Q, R>(
    { subject, request, reply, maxBytes }: RequestSubject<Q, R>,
    payload: Q,
    { timeoutMs }: { timeoutMs: number },
  ): Promise<R> {
    const bytes = encode(subject, request, payload, maxBytes);
    if (this.status() !== 'connected') throw new BusError('disconnected', `cannot ask ${subject}: not connected`);
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    if (this.#server.emit(subject, bytes, resolve) === 0)
      throw new BusError('no-responders', `cannot ask ${subject}: nobody answers`);
    const timer = new AbortController();
    const answer = await Promise.race([promise, pause(timeoutMs, timer.signal).then(() => undefined)]);
    timer.abort();
    if (answer === undefined) throw new BusError('timeout', `cannot ask ${subject}: no answer in time`);
    const decoded = decode(reply, answer, maxBytes);
    if (!decoded.ok) throw new BusError('invalid-reply', `reply of ${subject} does not fit: ${decoded.reason}`);
    return decoded.value;
  }

  respond<Q, R>(
    { subject, request, reply, maxBytes }: RequestSubject<Q, R>,
    answer: (payload: Q) => Promise<R | undefined>,
    options: { queue?: string } = {},
  ): Stoppable {
    return this.#receive(subject, options.queue, async (bytes, send) => {
      const decoded = decode(request, bytes, maxBytes);
      if (!decoded.ok)
        return this.#reports.trouble(subject, 'invalid', 'request does not fit its subject', {
          reason: decoded.reason,
        });
      const answered = await answer(decoded.value);
      if (answered === undefined) return;
      send?.(encode(subject, reply, answered, maxBytes));
      this.#reports.count(subject, 'answered');
    });
  }

  async publishDurable<T>(
    stream: DurableStream<T>,
    payload: T,
    options: { dedupId?: string; timeoutMs?: number } = {},
  ): Promise<void> {
    const bytes = encode(stream.subject, stream.schema, payload, stream.maxBytes);
    await Promise.resolve();
    if (this.status() !== 'connected')
      throw new BusError('disconnected', `cannot publish ${stream.subject}: not connected`);
    const held = this.#server.stream(stream.stream, false);
    if (held === undefined) throw new BusError('no-responders', `cannot publish ${stream.subject}: nobody answers`);
    held.append(bytes, options.dedupId);
    this.#reports.count(stream.subject, 'published');
  }

  consume<T>(
    stream: DurableStream<T>,
    durable: string,
    onMessage: (delivery: Delivery<T>) => Promise<Verdict>,
  ): Stoppable {
    const ending = new AbortController();
    const running = this.#consume(stream, durable, onMessage, ending.signal);
    this.#consuming.add(running);
    const stop = async (): Promise<void> => {
      ending.abort();
      await running;
    };
    this.#ends.add(() => void stop());
    return { stop };
  }

  bucket<T>(bucket: StateBucket<T>, options: { create?: boolean; onCreated?: () => void } = {}): Bucket<T> {
    const { create = false, onCreated } = options;
    if (create) {
      const make = (): void => {
        if (this.#ending.signal.aborted) return;
        this.#server.store(bucket.bucket, true);
        onCreated?.();
      };
      setImmediate(make);
      this.#ends.add(this.#server.onLoss(() => setImmediate(make)));
    }
    return new MemoryBucket(this.#server, bucket, create, (follower) => this.#ends.add(() => void follower.stop()));
  }

  status(): BusStatus {
    if (this.#ending.signal.aborted) return 'closed';
    return this.#server.connected ? 'connected' : 'reconnecting';
  }

  onStatus(listener: (status: BusStatus) => void): Stoppable {
    const end = this.#server.onStatus(listener);
    this.#ends.add(end);
    return { stop: () => Promise.resolve(end()) };
  }

  async close(): Promise<void> {
    this.#ending.abort();
    for (const end of this.#ends) end();
    await Promise.all(this.#consuming);
  }

  async #consume<T>(
    stream: DurableStream<T>,
    durable: string,
    onMessage: (delivery: Delivery<T>) => Promise<Verdict>,
    signal: AbortSignal,
  ): Promise<void> {
    const { subject, maxDeliver, schema, maxBytes } = stream;
    while (!signal.aborted) {
      const lost = new AbortController();
      const endLoss = this.#server.onLoss(() => lost.abort());
      const held = this.#server.stream(stream.stream, true)!;
      const message = await held.take(durable, AbortSignal.any([signal, lost.signal]));
      endLoss();
      if (message === undefined) continue;
      const { bytes, attempt } = message;
      const verdict = await settle({
        subject,
        attempt,
        maxDeliver,
        decoded: decode(schema, bytes, maxBytes),
        onMessage,
        reports: this.#reports,
      });
      if (verdict.do === 'refuse') held.dead.push({ bytes, reason: verdict.reason });
      else if (verdict.do === 'retry')
        setTimeout(() => held.offer(durable, { bytes, attempt: attempt + 1 }), verdict.afterMs).unref();
    }
  }

  #receive(
    subject: string,
    queue: string | undefined,
    handle: (bytes: Uint8Array, reply?: (bytes: Uint8Array) => void) => Promise<void>,
  ): Stoppable {
    const end = this.#server.receive(subject, {
      queue,
      receive: (bytes, reply) => {
        handle(bytes, reply).catch((error: unknown) =>
          this.#reports.trouble(subject, 'failed', 'message could not be handled', { error }),
        );
      },
    });
    this.#ends.add(end);
    return { stop: () => Promise.resolve(end()) };
  }
}
