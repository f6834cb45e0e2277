import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A TCP relay to an API server that counts connections, and can be cut. */
export interface CountingRelay extends AsyncDisposable {
  readonly port: number;
  /** Connections made so far. */
  readonly made: number;
  /** Connections open now. */
  readonly open: number;
  /** Ends every connection and refuses new ones at once. */
  cut(): void;
  /** Lets new ones through again. */
  mend(): void;
}

export async function countingRelay(targetPort: number): Promise<CountingRelay> {
  const sockets = new Set<Socket>();
  let made = 0;
  let isCut = false;
  const server = createServer((inward) => {
    if (isCut) return void inward.destroy();
    made++;
    sockets.add(inward);
    const outward = connect(targetPort, '127.0.0.1');
    const end = (): void => {
      sockets.delete(inward);
      inward.destroy();
      outward.destroy();
    };
    for (const socket of [inward, outward]) socket.on('error', end).on('close', end);
    inward.pipe(outward).pipe(inward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    isCut = true;
    for (const socket of [...sockets]) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get made() {
      return made;
    },
    get open() {
      return sockets.size;
    },
    cut,
    mend: () => (isCut = false),
    async [Symbol.asyncDispose]() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
