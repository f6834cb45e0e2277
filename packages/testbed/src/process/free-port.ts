import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

// Below every system's ephemeral range, so that no outgoing connection takes the port of a server that is being restarted.
const LOWEST = 12_000;
const HIGHEST = 31_999;
const given = new Set<number>();

/** A port on 127.0.0.1 that nobody listens on now; never given twice by this process. `preferred` when that is one. */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && !given.has(preferred) && (await canListen(preferred))) {
    given.add(preferred);
    return preferred;
  }
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port found between ${LOWEST} and ${HIGHEST} on 127.0.0.1`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
