import { get, type IncomingMessage } from 'node:http';
import { TRANSFER_INSTANCE_HEADER } from '@kuik/contracts';

/**
 * The process that answers at a copier's address, by the name that it gives itself ('' when it gives none); undefined when what answers is no copier
 * that serves. Asked on a connection of its own; `onConnected`: there is one. Rejects when nobody answers before `signal`.
 */
export async function answeringProcess(
  origin: string,
  signal: AbortSignal,
  onConnected: () => void = () => undefined,
): Promise<string | undefined> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${origin}/v2/`, { signal, agent: false }, resolve)
      .on('socket', (socket) => socket.once('connect', onConnected))
      .on('error', reject);
  });
  response.on('error', () => undefined).destroy();
  const name = response.headers[TRANSFER_INSTANCE_HEADER];
  return response.statusCode === 200 ? String(name ?? '') : undefined;
}
