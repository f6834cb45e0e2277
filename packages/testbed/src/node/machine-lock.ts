import { connect, createServer, type Server } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCK } from './traces.ts';

export interface LockRequest {
  readonly waitMs: number;
  /** Resolves when nobody wants the machine any more. */
  readonly giveUp: Promise<unknown>;
  /** Told once: the pid of who has it. */
  readonly onWait: (pid: number) => void;
  /** For tests. */
  readonly address?: string;
}

const ASK_EVERY_MS = 100;

/**
 * Takes the machine's one place for a node, for as long as this process lives. Throws when another process still has it after `waitMs`.
 */
export async function takeMachine(request: LockRequest): Promise<Server | 'given up'> {
  const { waitMs, giveUp, onWait, address = LOCK } = request;
  const deadline = performance.now() + waitMs;
  const givenUp = giveUp.then(() => 'given up' as const);
  let told = false;
  for (;;) {
    const server = await listen(address);
    if (server) return server;
    const holder = await holderOf(address);
    if (holder !== undefined && !told) onWait(holder);
    told ||= holder !== undefined;
    if (performance.now() >= deadline)
      throw new Error(
        `a machine has one real node at a time, and process ${holder ?? 'unknown'} had it for the ${Math.round(waitMs / 1000)} s that were waited: end that run first`,
      );
    const next = await Promise.race([givenUp, sleep(ASK_EVERY_MS)]);
    if (next === 'given up') return next;
  }
}

/** Whoever connects is told this process's pid. undefined when another has the address. */
function listen(address: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(String(process.pid));
    });
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => resolve(server));
  });
}

function holderOf(address: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let said = '';
    connect(address)
      .on('data', (chunk) => (said += String(chunk)))
      .on('error', () => resolve(undefined))
      .on('close', () => resolve(Number(said) || undefined));
  });
}
