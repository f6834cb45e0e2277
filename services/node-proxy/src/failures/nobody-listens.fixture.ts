import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';

/** Listens, and never takes a connection: its thread does nothing any more. */
const LISTENER = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
});`;
/** The kernel takes so many at most; the first that it lets wait shows that it takes no more. */
const TAKEN_MAX = 10;
const TAKEN_WITHIN_MS = 200;

/** An address where packets are lost: whoever connects hears nothing, not even that nobody is there. */
export async function startNobody(): Promise<{ readonly address: string; stop(): Promise<void> }> {
  const worker = new Worker(LISTENER, { eval: true });
  const [port] = (await once(worker, 'message')) as [number];
  const sockets: Socket[] = [];
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await worker.terminate();
  };
  for (let taken = true; taken;) {
    if (sockets.length > TAKEN_MAX) {
      await stop();
      throw new Error(`the kernel took ${TAKEN_MAX} connections that nobody accepts`);
    }
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    taken = await once(socket, 'connect', { signal: AbortSignal.timeout(TAKEN_WITHIN_MS) }).then(
      () => true,
      () => false,
    );
  }
  return { address: `127.0.0.1:${port}`, stop };
}
