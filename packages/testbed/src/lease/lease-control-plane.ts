import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Cluster } from '../control-plane/cluster.ts';
import { startControlPlane } from '../control-plane/start-control-plane.ts';
import type { ControlPlane } from '../port.ts';
import type { LeaseReply, LeaseRequest } from './broker.ts';

/** Where the broker of this test run listens; set by the suite's global setup. */
export const LEASE_SOCKET = 'KUIK_LEASE_SOCKET';

// Each test file has its own copy of this module, so this names the file within its worker.
const file: string = randomUUID();

/**
 * Leases a control plane from the test run's broker: empty but for custom resource definitions that earlier holders applied.
 * Waits for its turn. Starts one of its own when no broker runs (a single test started by hand).
 */
export async function leaseControlPlane(): Promise<ControlPlane> {
  const socketPath = process.env[LEASE_SOCKET];
  return socketPath ? leaseFrom(socketPath) : startControlPlane();
}

/** The same from a broker on a given socket; `holder` is the test file that asks. */
export async function leaseFrom(socketPath: string, holder = file): Promise<ControlPlane> {
  const broker = new BrokerConnection(socketPath);
  const reply = await broker.ask(`control-plane ${process.pid} ${holder}`);
  if (!('connection' in reply)) throw new Error('the lease broker gave no control plane');
  return new Cluster(reply.connection, {
    wipe: async () => {
      await broker.ask('wipe');
    },
    stop: () => broker.close(),
  });
}

/** One line out, one line back, in order. */
class BrokerConnection {
  readonly #socket: Socket;
  readonly #closed: Promise<unknown>;
  #isClosed = false;
  readonly #waiting: { resolve: (line: string) => void; reject: (error: Error) => void }[] = [];

  constructor(socketPath: string) {
    this.#socket = connect(socketPath);
    this.#socket.on('error', () => undefined);
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#isClosed = true;
        for (const { reject } of this.#waiting.splice(0)) reject(gone());
        resolve(undefined);
      });
    });
    createInterface({ input: this.#socket }).on('line', (line) => this.#waiting.shift()?.resolve(line));
  }

  async ask(request: LeaseRequest): Promise<LeaseReply> {
    if (this.#isClosed) throw gone();
    const line = await new Promise<string>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#socket.write(`${request}\n`);
    });
    const reply = JSON.parse(line) as LeaseReply;
    if ('error' in reply) throw new Error(`lease broker: ${reply.error}`);
    return reply;
  }

  async close(): Promise<void> {
    this.#socket.end();
    await this.#closed;
  }
}

function gone(): Error {
  return new Error('the lease broker is gone');
}
