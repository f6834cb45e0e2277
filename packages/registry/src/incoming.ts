import { BodyRing } from './body-ring.ts';
import { RegistryError } from './errors.ts';
import { HeadReader } from './head-reader.ts';
import type { ResponseHead } from './response-head.ts';

/** Node decrypts at most one TLS record at a time (RFC 8446 §5.1). */
const TLS_RECORD = 16 * 1024;

/** What the next bytes of the peer are: nothing that was asked for, a head, a body that nobody takes yet, a body; or there are none. */
type Expected = 'nothing' | 'head' | 'held' | 'body' | 'closed';

export interface IncomingOptions {
  /** Of the peer, for messages. */
  readonly name: string;
  readonly encrypted: boolean;
  /**
   * The first buffer for `rest` bytes of a body, asked for with the head, so that the first read behind it is a large one; undefined when
   * it is none of those that are read into buffers.
   */
  readonly buffer?: (rest: number) => Buffer | undefined;
  /** A head or bytes of a body are there. */
  readonly onProgress: () => void;
  /** The peer sent what it may not send: the connection is of no use any more. */
  readonly onFailure: (error: RegistryError) => void;
}

/** What the reads of one connection are, and into which buffer the next one goes. No socket, no clock. */
export class Incoming {
  #expected: Expected = 'nothing';
  readonly #reader = new HeadReader();
  #head: ResponseHead | undefined;
  /** From a head whose body is read into buffers to the body's end. */
  #ring: BodyRing | undefined;
  #lend: () => Buffer | undefined = nothing;
  #remaining = 0;
  #begun = false;
  #whole = false;
  #clean = true;
  readonly #options: IncomingOptions;
  /**
   * A TLS socket that is told to stop still hands out, record by record, what it has decrypted. Those reads must not land in a buffer
   * that the sink is reading.
   */
  readonly #aside: Buffer | undefined;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.#aside = options.encrypted ? Buffer.allocUnsafeSlow(TLS_RECORD) : undefined;
  }

  get encrypted(): boolean {
    return this.#options.encrypted;
  }

  /** The last exchange is over, and the peer agreed to another. */
  get reusable(): boolean {
    return this.#expected === 'nothing' && this.#clean;
  }

  /** Of the answer to the last request, when it is there. */
  get head(): ResponseHead | undefined {
    return this.#head;
  }

  /** A head is there and its body was not begun: it can be, with what came of it, also when the connection is gone. */
  get held(): boolean {
    return this.#expected === 'held' || (this.#expected === 'closed' && this.#ring !== undefined && !this.#begun);
  }

  /** The whole body came in the same reads as its head, and was not taken yet. */
  get whole(): boolean {
    return this.#whole;
  }

  /** A body is being read that is not at its end. */
  get awaitsBody(): boolean {
    return this.#remaining > 0;
  }

  /** There is no room for more of the body until some of it is taken. */
  get full(): boolean {
    return this.#ring?.full === true;
  }

  /** Where the next read of the socket goes. */
  target(): Buffer {
    const ring = this.#ring;
    if (ring !== undefined && this.#remaining > 0 && this.#expected !== 'closed') {
      return ring.full && this.#aside !== undefined ? this.#aside : ring.target(this.#remaining);
    }
    if (this.#expected === 'nothing') this.#reader.reset();
    return this.#expected === 'held' ? this.#reader.targetBehind() : this.#reader.target();
  }

  /** Takes a read of `bytes` into `buffer`; false: the socket has to stop. */
  took(bytes: number, buffer: Buffer): boolean {
    if (this.#expected === 'head') return this.#tookHead(bytes, buffer);
    if (this.#expected === 'body') return this.#tookBody(buffer, bytes);
    if (this.#expected === 'held' && this.#ring !== undefined && this.#remaining > 0)
      return this.#tookBody(buffer, bytes);
    if (this.#expected === 'held' && this.#aside !== undefined) {
      this.#reader.keep(bytes, buffer);
      return false;
    }
    // Bytes that nobody asked for: whatever they answer, it is not our next request.
    return this.#refuse('sent bytes that no request asked for');
  }

  /** The next bytes begin a head. */
  expectHead(): void {
    this.#expected = 'head';
    this.#whole = this.#begun = false;
    this.#lend = nothing;
    this.#head = undefined;
    this.#reader.reset();
  }

  /** What came of a body of `length` bytes behind its head, straight from the head's buffer: nothing is read into that part of it before the body's end. */
  early(length: number): Buffer {
    const early = this.#reader.rest;
    if (early.length > length) this.#clean = false;
    this.#whole = false;
    return early.subarray(0, length);
  }

  /** The `rest` of a body is taken from now on, as it came since its head, else through `first` from now on; `lend` may give a second buffer. */
  expectBody(rest: number, first: () => Buffer, lend: () => Buffer | undefined): void {
    this.#begun = true;
    this.#lend = lend;
    if (this.#ring === undefined && rest > 0) {
      this.#ring = new BodyRing(first());
      this.#remaining = rest;
    }
    if (this.#expected !== 'closed') this.#expected = this.#remaining === 0 ? 'nothing' : 'body';
  }

  /** What waits of the body; undefined when nothing does. One chunk at a time is out. */
  take(): Buffer | undefined {
    return this.#ring!.take();
  }

  /** The chunk that is out was used. True when the socket had stopped and may go on. */
  release(): boolean {
    return this.#ring!.release() && this.#expected === 'body';
  }

  /** The body, or whatever of it was wanted, is over: its buffers are not touched any more. */
  bodyOver(): void {
    this.#ring = undefined;
    if (this.#expected === 'held') this.#expected = 'nothing';
  }

  /** No more reads come. What came of a body can be taken all the same. */
  close(): void {
    this.#expected = 'closed';
  }

  /** This exchange is the last one. */
  spoil(): void {
    this.#clean = false;
  }

  #tookHead(bytes: number, buffer: Buffer): boolean {
    try {
      const head = this.#reader.add(bytes, buffer);
      return head === undefined || this.#gotHead(head);
    } catch (error) {
      this.#options.onFailure(error as RegistryError);
      return false;
    }
  }

  #gotHead(head: ResponseHead): boolean {
    this.#head = head;
    this.#clean &&= head.keepAlive;
    const empty = head.contentLength === 0;
    if (empty && this.#reader.rest.length > 0) this.#clean = false;
    this.#expected = empty ? 'nothing' : 'held';
    const rest = (head.contentLength ?? Infinity) - this.#reader.rest.length;
    this.#whole = !empty && rest <= 0;
    // What is decrypted is given out at once, wherever there is room: it must not be where the body's order is decided.
    const first = empty || rest <= 0 || rest === Infinity || this.#aside ? undefined : this.#options.buffer?.(rest);
    if (first !== undefined) {
      this.#ring = new BodyRing(first);
      this.#remaining = rest;
    }
    this.#options.onProgress();
    // Nothing more is to come, or there is room for it: to stop reading and to go on again would cost a turn of the event loop.
    return empty || this.#whole || first !== undefined;
  }

  /** Body bytes: in the ring already, or (those of the first read after the head) in the head's buffer and copied. */
  #tookBody(buffer: Buffer, bytes: number): boolean {
    const ring = this.#ring;
    if (ring === undefined) return false;
    const wanted = Math.min(bytes, this.#remaining);
    if (wanted < bytes) this.#clean = false;
    if (ring.full) {
      ring.spill(buffer.subarray(0, wanted));
      return this.#counted(wanted);
    }
    const target = ring.target(this.#remaining);
    if (buffer.buffer !== target.buffer || buffer.byteOffset !== target.byteOffset) {
      if (wanted > target.length) return this.#refuse(`: ${wanted} bytes do not fit into ${target.length}`);
      buffer.copy(target, 0, 0, wanted);
    }
    ring.wrote(wanted, wanted < this.#remaining ? this.#lend : nothing);
    return this.#counted(wanted);
  }

  #counted(bytes: number): boolean {
    this.#remaining -= bytes;
    if (this.#remaining === 0 && this.#begun) this.#expected = 'nothing';
    this.#options.onProgress();
    return this.#remaining === 0 || this.#ring?.full !== true;
  }

  #refuse(what: string): false {
    this.#options.onFailure(new RegistryError('invalid-response', `${this.#options.name} ${what}`));
    return false;
  }
}

const nothing = (): undefined => undefined;
