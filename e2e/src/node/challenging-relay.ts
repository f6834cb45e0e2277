import { createServer, request as send, type Server } from 'node:http';
import { freePort } from '@kuik/testbed';

/** A registry in front of another one that lets nobody in without a name: `user:password` of each request, '' for none. */
export interface ChallengingRelay {
  /** `localhost:<port>` */
  readonly prefix: string;
  readonly callers: readonly string[];
  close(): Promise<void>;
}

/** Answers 401 with a Basic challenge to who names nobody; hands everything else on, without the name. */
export async function challengingRelay(to: string): Promise<ChallengingRelay> {
  const callers: string[] = [];
  const server: Server = createServer((request, response) => {
    const { authorization, ...headers } = request.headers;
    const caller = Buffer.from(authorization?.replace(/^Basic /, '') ?? '', 'base64').toString();
    callers.push(caller);
    if (caller === '') {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="kuik"' }).end();
      return;
    }
    const onward = send(`http://${to}${request.url ?? '/'}`, { method: request.method, headers, agent: false });
    onward.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    onward.end();
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    prefix: `localhost:${port}`,
    callers,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
