import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Certificate } from '../faults/listener.ts';
import { requirePart } from '../parts/find.ts';
import type { UpstreamRegistry } from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { begin, Part, withFreshPorts } from '../process/part-process.ts';
import type { RegistryProcess } from './registry-config.ts';
import { registryLaunch } from './registry-process.ts';

export interface UpstreamOptions {
  /** Default `upstream`. */
  readonly name?: string;
  /** HTTPS with this certificate, good for 127.0.0.1; plain HTTP without it. */
  readonly certificate?: Certificate;
  /** Basic authentication: `name:<bcrypt hash>`, one per user; anonymous without it. */
  readonly htpasswd?: string;
  /** See RegistryProcess. */
  readonly wholeIndexes?: boolean;
}

/** Starts an empty registry: anonymous and over plain HTTP unless told otherwise. */
export async function startUpstreamRegistry(options: UpstreamOptions = {}): Promise<UpstreamRegistry> {
  const command = await requirePart('registry');
  return withFreshPorts(async () => {
    const server = new Upstream(command, options, await freePort());
    await begin(server);
    return server;
  });
}

class Upstream extends Part implements UpstreamRegistry {
  readonly url: string;
  readonly host: string;
  readonly folder: string;

  constructor(
    command: string,
    { name = 'upstream', certificate, htpasswd, wholeIndexes = false }: UpstreamOptions,
    port: number,
  ) {
    const data = dataFolder(name);
    const folder = path.join(data, 'storage');
    mkdirSync(folder);
    const file = (base: string, text: string): string => {
      const at = path.join(data, base);
      writeFileSync(at, text, { mode: 0o600 });
      return at;
    };
    const settings: RegistryProcess = {
      port,
      folder,
      httpSecret: randomBytes(16).toString('hex'),
      wholeIndexes,
      ...(certificate && {
        tls: { certificateFile: file('certificate.pem', certificate.cert), keyFile: file('key.pem', certificate.key) },
      }),
      ...(htpasswd && { htpasswdFile: file('htpasswd', htpasswd) }),
    };
    super(registryLaunch(command, name, data, settings, [data]));
    this.host = `127.0.0.1:${port}`;
    this.url = `${certificate ? 'https' : 'http'}://${this.host}`;
    this.folder = folder;
  }
}
