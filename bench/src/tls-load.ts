import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export interface Load {
  readonly port: number;
  readonly ca: string;
  /** One whole HTTP/1.1 request, sent again and again on each connection. */
  readonly request: Buffer;
  readonly connections: number;
  readonly requests: number;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Sends the same bytes over keep-alive TLS connections, one request at a time on each. Throws for any answer but 200. */
export async function runLoad({ port, ca, request, connections, requests }: Load): Promise<LoadResult> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port, ca)));
  const times: number[] = [];
  let left = requests;
  const started = performance.now();
  await Promise.all(
    sockets.map(async (socket) => {
      while (left > 0) {
        left -= 1;
        const sent = performance.now();
        await exchange(socket, request);
        times.push(performance.now() - sent);
      }
    }),
  );
  const seconds = (performance.now() - started) / 1000;
  for (const socket of sockets) socket.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return { perSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** A TLS connection on which requests follow each other. */
export async function open(port: number, ca: string): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port, ca });
  await once(socket, 'secureConnect');
  return socket.setNoDelay(true);
}

/** One request and its whole answer. Throws for any but 200. Cheap on purpose: the client shares the machine's cores with the server. */
export function exchange(socket: TLSSocket, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    let head = '';
    const onData = (chunk: Buffer): void => {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1]);
      if (head.length < end + 4 + length) return;
      finish();
      if (head.startsWith('HTTP/1.1 200')) resolve();
      else reject(new Error(`not 200: ${head.slice(0, 200)}`));
    };
    const onClose = (): void => {
      finish();
      reject(new Error('the server closed the connection'));
    };
    const finish = (): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
    };
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.write(request);
  });
}
