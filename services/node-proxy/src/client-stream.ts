/** The client went away, or read nothing for too long. */
export class ClientGone extends Error {
  constructor() {
    super('the client is gone');
    this.name = 'ClientGone';
  }
}

/**
 * Where the answer with a blob goes: the head, once, then every byte that it announced. No copy, no chunk smaller than it came. The head
 * leaves with the first chunk, and states its Content-Length.
 */
export interface ClientStream {
  /** Aborts when the client is gone, with ClientGone. */
  readonly signal: AbortSignal;
  /** Its head was sent. */
  readonly begun: boolean;
  /** Bytes of the body that were handed to the kernel. */
  readonly sent: number;
  start(status: 200 | 206, headers: Readonly<Record<string, string>>): void;
  /**
   * Undefined when the kernel took everything at once; otherwise a promise that settles when it has, so that the caller's buffer can be
   * used again. Rejects with ClientGone.
   */
  write(chunk: Buffer): Promise<void> | undefined;
  /** All bytes were written. */
  end(): void;
}
