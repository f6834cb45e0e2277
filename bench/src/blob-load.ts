import { connect } from 'node:net';

const BUFFER_BYTES = 1024 * 1024;

export interface BlobGet {
  readonly port: number;
  readonly path: string;
  readonly authorization?: string;
  /** `bytes=a-b` */
  readonly range?: string;
  /** Of the client, which reads no more at once; 1 MiB unless told. */
  readonly bufferBytes?: number;
  /** A slow client waits this long after each read, ms. */
  readonly pauseMs?: number;
}

/**
 * One GET on a connection of its own, its body counted and thrown away in large reads: the cheapest client there is, so that what is
 * measured is the server. Resolves with the body's bytes. Rejects unless the status is 200 or 206 and the body whole.
 */
export function getBlob(get: BlobGet): Promise<number> {
  const { port, path, authorization, range, pauseMs } = get;
  return new Promise((resolve, reject) => {
    let head = '';
    let expected = -1;
    let received = 0;
    const buffer = Buffer.allocUnsafeSlow(get.bufferBytes ?? BUFFER_BYTES);
    const socket = connect({
      port,
      host: '127.0.0.1',
      onread: {
        buffer,
        callback: (bytes: number): boolean => {
          let body = bytes;
          if (expected === -1) {
            head += buffer.toString('latin1', 0, bytes);
            const end = head.indexOf('\r\n\r\n');
            if (end === -1) return true;
            expected = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? NaN);
            if (!/^HTTP\/1\.1 20[06] /.test(head) || !Number.isFinite(expected)) {
              socket.destroy(new Error(`GET ${path}: ${head.split('\r\n')[0]}`));
              return false;
            }
            body = head.length - end - 4;
          }
          received += body;
          if (received >= expected) socket.destroy();
          else if (pauseMs !== undefined) setTimeout(() => socket.resume(), pauseMs);
          return pauseMs === undefined;
        },
      },
    });
    const lines = [`GET ${path} HTTP/1.1`, 'Host: bench', 'Connection: close', 'Accept: */*'];
    if (authorization !== undefined) lines.push(`Authorization: ${authorization}`);
    if (range !== undefined) lines.push(`Range: ${range}`);
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    socket.on('error', reject);
    socket.on('close', () => {
      if (received === expected) resolve(received);
      else reject(new Error(`GET ${path}: ${received} of ${expected} bytes`));
    });
  });
}
