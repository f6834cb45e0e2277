import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import { exchange, open } from './tls-load.ts';

export interface PacedLoad {
  readonly port: number;
  readonly ca: string;
  /** One whole HTTP/1.1 request. */
  readonly request: Uint8Array;
  readonly perSecond: number;
}

export interface PacedResult {
  readonly sent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const CONNECTIONS = 4;

/** Sends so many requests per second from a thread of its own, until it is asked for the result: what else this process does is not in its times. */
export function beginPacedLoad(load: PacedLoad): { end(): Promise<PacedResult> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: load });
  const result = new Promise<PacedResult>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  result.catch(() => undefined);
  return {
    end: () => {
      worker.postMessage('end');
      return result;
    },
  };
}

async function run({ port, ca, request, perSecond }: PacedLoad): Promise<PacedResult> {
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => open(port, ca)));
  const free = [...sockets];
  const times: number[] = [];
  const bytes = Buffer.from(request);
  let over = false;
  parentPort!.once('message', () => (over = true));
  const under = new Set<Promise<void>>();
  const since = performance.now();
  for (let index = 0; !over; index += 1) {
    const due = since + (index * 1000) / perSecond;
    const earlyMs = due - performance.now();
    if (earlyMs > 0) await sleep(earlyMs);
    // Its time runs from when it was due: a server that makes others wait is not measured by those alone that it lets through.
    const one = (async () => {
      while (free.length === 0) await Promise.race(under);
      const socket = free.pop()!;
      await exchange(socket, bytes);
      free.push(socket);
      times.push(performance.now() - due);
    })();
    under.add(one);
    void one.finally(() => under.delete(one));
  }
  await Promise.all(under);
  for (const socket of sockets) socket.destroy();
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN;
  return { sent: times.length, p50Ms: at(0.5), p99Ms: at(0.99) };
}

if (parentPort !== null) parentPort.postMessage(await run(workerData as PacedLoad));
