import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP relay in front of a server that tests share: closed, the server is away for whoever comes by the gate alone. */
export interface TcpGate {
  readonly port: number;
  /** Breaks what goes through and refuses the rest. */
  shut(): void;
  open(): void;
  close(): Promise<void>;
}

export async function tcpGate(targetPort: number): Promise<TcpGate> {
  let closed = false;
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    if (closed) return void client.destroy();
    const target = connect(targetPort, '127.0.0.1');
    for (const [from, to] of [
      [client, target],
      [target, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const shut = (): void => {
    closed = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    shut,
    open: () => {
      closed = false;
    },
    close: () => {
      shut();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
