import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createNkeySeed, natsAuthorization, nkeyAnswer, publicNkey, SERVICES, type ServiceName } from '@kuik/contracts';
import { connect } from 'nats';
import { requirePart } from '../parts/find.ts';
import type { NatsServer } from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { answers } from '../process/health-check.ts';
import { begin, Part, withFreshPorts } from '../process/part-process.ts';

export interface NatsOptions {
  /** Default `nats`. */
  readonly name?: string;
}

/** Starts nats-server with JetStream on an empty store. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const command = await requirePart('nats-server');
  return withFreshPorts(async () => {
    const server = new Nats(command, options.name ?? 'nats', await freePort(), await freePort());
    await begin(server);
    return server;
  });
}

class Nats extends Part implements NatsServer {
  readonly url: string;
  readonly seeds: Readonly<Record<ServiceName, string>>;
  readonly testSeed: string;

  constructor(command: string, name: string, port: number, monitorPort: number) {
    const folder = dataFolder(name);
    const users = Object.fromEntries(SERVICES.map((service) => [service, newUser()])) as Record<ServiceName, NewUser>;
    const test = newUser();
    const authorization = natsAuthorization(pick(users, (user) => user.publicKey));
    const config = {
      server_name: name,
      host: '127.0.0.1',
      port,
      http: `127.0.0.1:${monitorPort}`,
      jetstream: { store_dir: folder, max_memory_store: 64 * MiB, max_file_store: 1024 * MiB },
      authorization: { users: [...authorization.users, { nkey: test.publicKey }] },
    };
    const file = path.join(folder, 'nats.json');
    writeFileSync(file, JSON.stringify(config, undefined, 1), { mode: 0o600 });
    super({
      name,
      command,
      args: ['--config', file],
      port,
      folders: [folder],
      check: () => answers(`http://127.0.0.1:${monitorPort}/healthz?js-server-only=true`),
    });
    this.url = `nats://127.0.0.1:${port}`;
    this.seeds = pick(users, (user) => user.seed);
    this.testSeed = test.seed;
  }

  async purge(): Promise<void> {
    const connection = await connect({
      servers: this.url,
      authenticator: (nonce) => nkeyAnswer(this.testSeed, nonce),
      timeout: 20_000,
    });
    try {
      const streams = await connection.jetstreamManager();
      for await (const stream of streams.streams.list()) await streams.streams.delete(stream.config.name);
    } finally {
      await connection.close();
    }
  }
}

const MiB = 1024 * 1024;

interface NewUser {
  readonly seed: string;
  readonly publicKey: string;
}

function newUser(): NewUser {
  const seed = createNkeySeed();
  return { seed, publicKey: publicNkey(seed) };
}

function pick<T>(users: Record<ServiceName, NewUser>, of: (user: NewUser) => T): Record<ServiceName, T> {
  return Object.fromEntries(SERVICES.map((service) => [service, of(users[service])])) as Record<ServiceName, T>;
}
