import { randomInt } from 'node:crypto';
import { createServer, type Server } from 'node:net';

// Below every system's ephemeral range, so that no outgoing connection takes the port of a server that is being restarted.
const LOWEST = 12_000;
const HIGHEST = 31_999;
/** Ports of one block: the first is its lock, the others are given. */
const BLOCK = 50;
const BLOCKS = Math.floor((HIGHEST + 1 - LOWEST) / BLOCK);

const given = new Set<number>();
/** Ports of this process's blocks that were not given yet. */
const own: number[] = [];
/** As long as these are open, nobody else takes a port of their blocks. */
const locks: Server[] = [];
let taking: Promise<void> | undefined;

/**
 * A port on 127.0.0.1 that nobody listens on now; never given twice by this process. `preferred` when that is one. Whoever gets it listens later,
 * and may end and begin again meanwhile: so that no other run takes it then, a process has blocks of its own, each locked by listening on its first
 * port. The system opens that lock when the process ends, however it ends.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && !given.has(preferred) && (await canListen(preferred))) {
    given.add(preferred);
    return preferred;
  }
  for (;;) {
    const port = own.pop();
    if (port === undefined) {
      taking ??= takeBlock().finally(() => (taking = undefined));
      await taking;
      continue;
    }
    if (!(await canListen(port))) continue;
    given.add(port);
    return port;
  }
}

/** Makes a block that nobody has this process's own. */
async function takeBlock(): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const first = LOWEST + randomInt(BLOCKS) * BLOCK;
    const lock = await listen(first);
    if (lock === undefined) continue;
    locks.push(lock);
    for (let port = first + BLOCK - 1; port > first; port--) own.push(port);
    return;
  }
  throw new Error(`no block of free ports found between ${LOWEST} and ${HIGHEST} on 127.0.0.1`);
}

async function canListen(port: number): Promise<boolean> {
  const server = await listen(port);
  if (server === undefined) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

/** Listens without keeping the process alive; undefined when somebody else does. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}
