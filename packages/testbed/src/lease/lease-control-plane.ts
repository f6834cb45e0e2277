import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface, type Interface } from 'node:readline';
import { Cluster } from '../control-plane/cluster.ts';
import { startControlPlane } from '../control-plane/start-control-plane.ts';
import type { ControlPlane } from '../port.ts';
import type { LeaseReply, LeaseRequest } from './broker.ts';

/** Where the broker of this test run listens; set by the suite's global setup. */
export const LEASE_SOCKET = 'KUIK_LEASE_SOCKET';

/**
 * Leases a control plane from the test run's broker: empty but for custom resource definitions that earlier holders applied.
 * Waits for its turn. Starts one of its own when no broker runs (a single test started by hand).
 */
export async function leaseControlPlane(): Promise<ControlPlane> {
  const socketPath = process.env[LEASE_SOCKET];
  if (!socketPath) return startControlPlane();
  const socket = connect(socketPath);
  await once(socket, 'connect');
  const lines = createInterface({ input: socket });
  const reply = await ask(socket, lines, 'control-plane');
  if (!('connection' in reply)) throw new Error('the lease broker gave no control plane');
  const lease = new Cluster(reply.connection, {
    wipe: async () => {
      await ask(socket, lines, 'wipe');
    },
    stop: async () => {
      socket.end();
      await once(socket, 'close');
    },
  });
  return lease;
}

async function ask(socket: Socket, lines: Interface, request: LeaseRequest): Promise<LeaseReply> {
  const closed = once(lines, 'close').then((): never => {
    throw new Error('the lease broker is gone');
  });
  socket.write(`${request}\n`);
  const [line] = (await Promise.race([once(lines, 'line'), closed])) as [string];
  closed.catch(() => undefined);
  const reply = JSON.parse(line) as LeaseReply;
  if ('error' in reply) throw new Error(`lease broker: ${reply.error}`);
  return reply;
}
