import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { ControlPlane } from '@kuik/testbed';

/**
 * What happens to reads of a collection: `late`: nothing is answered before the fault is over; `failing`: 503; `refused`: 403; `partial`: a list is cut
 * in the middle of its body, a watch right after its head.
 */
export const READ_FAULTS = ['late', 'failing', 'refused', 'partial'] as const;
export type ReadFault = (typeof READ_FAULTS)[number];

const COLLECTION = /^\/(?:api\/v1|apis\/[^/]+\/[^/]+)\/([a-z]+)$/;
const STATUS: Readonly<Record<string, number>> = { failing: 503, refused: 403 };

/**
 * Stands before the API server of some services, whose lists and watches of a collection it can spoil; writes and all other reads pass.
 * Plain HTTP on loopback.
 */
export class ApiGate {
  readonly #server: Server;
  readonly #agent: Agent;
  readonly #target: URL;
  readonly #faults = new Map<string, ReadFault>();
  /** Ends what is being held back. */
  #over = Promise.withResolvers<void>();
  /** How many reads each fault has met. */
  readonly met = new Map<ReadFault, number>();

  private constructor({ url, caPem }: Pick<ControlPlane, 'url' | 'caPem'>) {
    this.#target = new URL(url);
    this.#agent = new Agent({ ca: caPem, keepAlive: true });
    this.#server = createServer((request, response) => {
      response.on('error', () => undefined);
      void this.#answer(request, response);
    });
  }

  static async open(controlPlane: Pick<ControlPlane, 'url' | 'caPem'>): Promise<ApiGate> {
    const gate = new ApiGate(controlPlane);
    gate.#server.listen(0, '127.0.0.1');
    await once(gate.#server, 'listening');
    return gate;
  }

  async close(): Promise<void> {
    this.allow();
    this.#server.closeAllConnections();
    this.#server.close();
    this.#agent.destroy();
    await once(this.#server, 'close');
  }

  /** Rewrites a kubeconfig so that whoever uses it comes through here. */
  lead(kubeconfig: string): void {
    const config = JSON.parse(readFileSync(kubeconfig, 'utf8')) as { clusters: { cluster: object }[] };
    const server = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    config.clusters[0]!.cluster = { server };
    writeFileSync(kubeconfig, JSON.stringify(config));
  }

  /** From now on reads of this collection (plural) meet the fault; watches that are open end. */
  spoil(collection: string, fault: ReadFault): void {
    this.#faults.set(collection, fault);
    this.#server.closeAllConnections();
  }

  /** Ends every fault. */
  allow(): void {
    this.#faults.clear();
    this.#over.resolve();
    this.#over = Promise.withResolvers();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://gate');
    const collection = request.method === 'GET' ? COLLECTION.exec(pathname)?.[1] : undefined;
    const fault = collection === undefined ? undefined : this.#faults.get(collection);
    if (fault === undefined) return this.#pass(request, response);
    this.met.set(fault, (this.met.get(fault) ?? 0) + 1);
    if (fault === 'partial') return this.#pass(request, response, true);
    if (fault === 'late') {
      await this.#over.promise;
      if (!response.destroyed) this.#pass(request, response);
      return;
    }
    const code = STATUS[fault]!;
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', code, reason: 'Gate', message: `the gate says: ${fault}` }));
  }

  #pass(request: IncomingMessage, response: ServerResponse, cut = false): void {
    const { method = 'GET', url = '/', headers } = request;
    const { hostname, port, host } = this.#target;
    const onward = httpsRequest(
      { agent: this.#agent, hostname, port, method, path: url, headers: { ...headers, host } },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        if (cut) {
          answer.once('data', (chunk: Buffer) => {
            response.write(chunk.subarray(0, chunk.length / 2), () => response.destroy());
            onward.destroy();
          });
          // A watch of which nothing happens has a head and no body.
          response.flushHeaders();
          if (url.includes('watch=')) response.destroy();
        } else answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }
}
