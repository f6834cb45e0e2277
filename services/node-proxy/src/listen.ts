import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `127.0.0.1:7439` or `[::1]:7439`; undefined when it is neither. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9A-Za-z.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  return { host: match[1] ?? match[2]!, port };
}

/** An address that a node may lack: IPv6 can be off. */
function mayBeAbsent(error: unknown, address: ListenAddress): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return address.host.includes(':') && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'EINVAL');
}

/** Listens on one address. Returns what was taken (port 0 lets the system choose), or undefined when the node has no such address. */
export async function listenOn(server: Server, address: ListenAddress): Promise<ListenAddress | undefined> {
  server.listen({ host: address.host, port: address.port, ipv6Only: address.host.includes(':') });
  try {
    await once(server, 'listening');
  } catch (error) {
    if (mayBeAbsent(error, address)) return undefined;
    throw error;
  }
  return { host: address.host, port: (server.address() as AddressInfo).port };
}
