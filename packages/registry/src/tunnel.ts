import type { OnReadOpts, Socket } from 'node:net';
import { RegistryError } from './errors.ts';

/** Of a proxy's answer to CONNECT. */
const HEAD_MAX = 16 * 1024;
const END = '\r\n\r\n';

/** What a proxy is asked. `target` is `host:port`. */
export function connectRequest(target: string, authorization: string | undefined): string {
  const auth = authorization === undefined ? '' : `proxy-authorization: ${authorization}\r\n`;
  return `CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\n${auth}\r\n`;
}

/** Throws RegistryError when a proxy's answer opens no tunnel. Source: RFC 9110 §9.3.6. */
export function judgeAnswer(head: string, proxy: string): void {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]);
  if (status >= 200 && status < 300) return;
  if (Number.isNaN(status)) throw new RegistryError('invalid-response', `the proxy ${proxy} answered no HTTP`);
  const code = status === 407 || status === 403 ? 'rejected' : 'refused';
  const hint = status === 407 ? '; set httpProxy.credentialsFile to a file with user:password' : '';
  throw new RegistryError(code, `the proxy ${proxy} opens no tunnel: status ${status}${hint}`, { status });
}

/** Collects the head of a proxy's answer, by whichever way its bytes come. */
export class TunnelHead {
  #text = '';
  readonly #proxy: string;

  constructor(proxy: string) {
    this.#proxy = proxy;
  }

  /** True when the head is whole. Throws RegistryError: too long, bytes of the target before anything was sent to it, no tunnel. */
  take(bytes: Buffer): boolean {
    this.#text += bytes.toString('latin1');
    const end = this.#text.indexOf(END);
    if (end < 0 && this.#text.length <= HEAD_MAX) return false;
    const whole = end >= 0 && end + END.length === this.#text.length;
    judgeAnswer(this.#text, this.#proxy);
    if (!whole) throw new RegistryError('invalid-response', `the proxy ${this.#proxy} sent more than an answer`);
    return true;
  }
}

/** Reads the head from a socket that nobody reads yet, and leaves the socket as it was. Throws RegistryError. */
export function readHead(socket: Socket, proxy: string): Promise<void> {
  const head = new TunnelHead(proxy);
  return new Promise((resolve, reject) => {
    const end = (error?: Error): void => {
      socket.off('readable', read);
      socket.off('close', closed);
      if (error === undefined) resolve();
      else reject(error);
    };
    const closed = (): void => end(new RegistryError('refused', `the proxy ${proxy} closed the connection`));
    const read = (): void => {
      try {
        for (;;) {
          const bytes = socket.read() as Buffer | null;
          if (bytes === null) return;
          if (head.take(bytes)) return end();
        }
      } catch (error) {
        end(error as Error);
      }
    };
    socket.on('readable', read);
    socket.on('close', closed);
    read();
  });
}

/** For a socket that reads straight into buffers: the proxy's head goes here first, all the rest to whom it is for. */
export function headBefore(rest: OnReadOpts, proxy: string): { onread: OnReadOpts; whole: Promise<void> } {
  const head = new TunnelHead(proxy);
  const { promise: whole, resolve, reject } = Promise.withResolvers<void>();
  whole.catch(() => undefined);
  const own = Buffer.alloc(4 * 1024);
  let through = false;
  const target = (): Uint8Array => (typeof rest.buffer === 'function' ? rest.buffer() : rest.buffer);
  return {
    whole,
    onread: {
      buffer: () => (through ? target() : own),
      callback: (bytes, buffer) => {
        if (through) return rest.callback(bytes, buffer);
        try {
          through = head.take(Buffer.from(buffer.subarray(0, bytes)));
          if (through) resolve();
        } catch (error) {
          reject(error);
        }
        return true;
      },
    },
  };
}

/**
 * Hands what a socket reads to `onread`, as a socket made with it does: Node gives TLS over another socket no buffers of its own. It costs one
 * more copy. When the callback says so the socket stops, and goes on where it was when it is resumed.
 */
export function feed(socket: Socket, onread: OnReadOpts): void {
  socket.on('data', (chunk: Buffer) => {
    let at = 0;
    while (at < chunk.length) {
      const target = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer;
      const bytes = chunk.copy(target, 0, at);
      at += bytes;
      if (onread.callback(bytes, target)) continue;
      socket.pause();
      if (at < chunk.length) socket.unshift(chunk.subarray(at));
      return;
    }
  });
}
