import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Connections to one address that lead to another. */
export interface Relay {
  /** `<host>:<port>` where it listens. */
  readonly address: string;
  close(): Promise<void>;
}

/** Listens (port 0: on any) and leads each connection to `target` (`<host>:<port>`) as it is then; undefined: nowhere. */
export async function openRelay(
  listen: { readonly host: string; readonly port: number },
  target: () => string | undefined,
): Promise<Relay> {
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const to = target();
    if (to === undefined) return void client.resetAndDestroy();
    const at = to.lastIndexOf(':');
    const onward = connect(Number(to.slice(at + 1)), to.slice(0, at));
    for (const [socket, other] of [
      [client, onward],
      [onward, client],
    ] as const) {
      open.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => (open.delete(socket), other.destroy()));
    }
  });
  server.listen(listen.port, listen.host);
  await once(server, 'listening');
  const { address, port } = server.address() as AddressInfo;
  return {
    address: `${address}:${port}`,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}
