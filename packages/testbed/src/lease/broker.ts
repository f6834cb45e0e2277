import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { startConnected } from '../control-plane/start-control-plane.ts';
import type { OwnControlPlane } from '../port.ts';
import type { ClusterConnection } from '../control-plane/cluster.ts';

/** What a holder may send, one per line; it names itself by its process and its test file. */
export type LeaseRequest = `control-plane ${number} ${string}` | 'wipe';
/** What it gets, one JSON line for each request. */
export type LeaseReply = { connection: ClusterConnection } | { done: true } | { error: string };

type Plane = { cluster: OwnControlPlane; connection: ClusterConnection };

/**
 * Lends control planes over a local socket: one holder each, for as long as its connection lives, wiped between holders.
 * They are started when first asked for; further holders wait once `most` are lent.
 */
export class LeaseBroker {
  readonly #most: number;
  readonly #server: Server;
  readonly #idle: Plane[] = [];
  readonly #all = new Set<Promise<Plane>>();
  readonly #waiting: (() => void)[] = [];
  readonly #holders = new Map<Socket, { pid: string; file: string }>();

  constructor(most: number) {
    this.#most = most;
    this.#server = createServer((socket) => void this.#serve(socket));
  }

  /** Listens on a Unix socket. */
  listen(socketPath: string): Promise<void> {
    rmSync(socketPath, { force: true });
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject).listen(socketPath, resolve);
    });
  }

  /** Stops every control plane, lent or not. */
  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#holders.keys()) socket.destroy();
    await Promise.allSettled([...this.#all].map(async (plane) => (await plane).cluster.stop()));
  }

  async #serve(socket: Socket): Promise<void> {
    let plane: Plane | undefined;
    const lines = createInterface({ input: socket });
    socket
      .on('error', () => undefined)
      .on('close', () => {
        this.#holders.delete(socket);
        // A holder that died sends no end.
        lines.close();
      });
    const answer = (reply: LeaseReply): void => void socket.write(JSON.stringify(reply) + '\n');
    for await (const line of lines) {
      try {
        if ((line as LeaseRequest) === 'wipe') {
          await plane?.cluster.wipe();
          answer({ done: true });
        } else {
          const [, pid = '', file = ''] = line.split(' ');
          this.#revoke(pid, file);
          this.#holders.set(socket, { pid, file });
          plane ??= await this.#take();
          answer({ connection: plane.connection });
        }
      } catch (error) {
        answer({ error: (error as Error).message });
      }
    }
    if (plane) await this.#giveBack(plane);
  }

  /** A worker runs one test file at a time: what an earlier one has not given back, it has forgotten. */
  #revoke(pid: string, file: string): void {
    for (const [socket, holder] of this.#holders) if (holder.pid === pid && holder.file !== file) socket.destroy();
  }

  async #take(): Promise<Plane> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle) return idle;
      if (this.#all.size < this.#most) return this.#start();
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #start(): Promise<Plane> {
    const starting = startConnected({ name: 'leased' });
    this.#all.add(starting);
    try {
      return await starting;
    } catch (error) {
      this.#all.delete(starting);
      this.#waiting.shift()?.();
      throw error;
    }
  }

  /** One that cannot be wiped is not lent again. */
  async #giveBack(plane: Plane): Promise<void> {
    try {
      await plane.cluster.wipe();
      this.#idle.push(plane);
    } catch {
      for (const starting of this.#all)
        if ((await starting.catch(() => undefined)) === plane) this.#all.delete(starting);
      await plane.cluster.stop();
    }
    this.#waiting.shift()?.();
  }
}
