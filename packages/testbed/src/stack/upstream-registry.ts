import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { requirePart } from '../parts/find.ts';
import type { UpstreamRegistry } from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { begin, Part, withFreshPorts } from '../process/part-process.ts';
import { registryLaunch } from './registry-process.ts';

export interface UpstreamOptions {
  /** Default `upstream`. */
  readonly name?: string;
}

/** Starts an empty, anonymous registry over plain HTTP. */
export async function startUpstreamRegistry(options: UpstreamOptions = {}): Promise<UpstreamRegistry> {
  const command = await requirePart('registry');
  return withFreshPorts(async () => {
    const server = new Upstream(command, options.name ?? 'upstream', await freePort());
    await begin(server);
    return server;
  });
}

class Upstream extends Part implements UpstreamRegistry {
  readonly url: string;
  readonly host: string;
  readonly folder: string;

  constructor(command: string, name: string, port: number) {
    const data = dataFolder(name);
    const folder = path.join(data, 'storage');
    mkdirSync(folder);
    super(registryLaunch(command, name, data, { port, folder, httpSecret: randomBytes(16).toString('hex') }, [data]));
    this.host = `127.0.0.1:${port}`;
    this.url = `http://${this.host}`;
    this.folder = folder;
  }
}
