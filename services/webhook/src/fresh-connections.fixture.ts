import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A relay in front of a webhook that can end all of its connections: the next admission begins with a handshake. */
export class FreshConnections {
  readonly #open = new Set<Socket>();
  readonly #server;
  /** How many connections there have been. */
  made = 0;

  constructor(target: () => number) {
    this.#server = createServer((client) => {
      this.made += 1;
      this.#open.add(client);
      const upstream = connect(target(), '127.0.0.1');
      client.pipe(upstream).pipe(client);
      client
        .on('error', () => upstream.destroy())
        .on('close', () => {
          this.#open.delete(client);
          upstream.destroy();
        });
      upstream.on('error', () => client.destroy()).on('close', () => client.destroy());
    });
  }

  async start(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  /** To be called while no request is under way; resolves when the API server has let go of every connection. */
  async end(): Promise<void> {
    await Promise.all(
      [...this.#open].map(async (client) => {
        // Not `once`: a reset is an end as well.
        const closed = new Promise((resolve) => client.once('close', resolve));
        client.end();
        await closed;
      }),
    );
  }

  async close(): Promise<void> {
    for (const client of this.#open) client.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
