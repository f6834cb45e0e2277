import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';

/** Resolves when `url` (plain HTTP) answers one of `statuses`, default 200; throws otherwise. */
export function answers(url: string, statuses: readonly number[] = [200]): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent: false, timeout: 2_000 }, (response) => {
      response.resume();
      if (statuses.includes(response.statusCode ?? 0)) resolve();
      else reject(new Error(`${url} answers ${response.statusCode ?? 'nothing'}`));
    });
    request.on('timeout', () => request.destroy(new Error(`${url} does not answer`)));
    request.on('error', reject);
    request.end();
  });
}

/** Resolves when something accepts connections on the port of 127.0.0.1. */
export function accepts(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve();
    });
    socket.on('error', reject);
  });
}
