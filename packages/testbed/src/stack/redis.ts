import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { REDIS_SERVICES, redisUsers, type RedisService } from '@kuik/contracts';
import { requirePart } from '../parts/find.ts';
import type { RedisServer } from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { begin, Part, withFreshPorts } from '../process/part-process.ts';

export interface RedisOptions {
  /** Default `redis`. */
  readonly name?: string;
}

/** Starts redis-server with an empty database, one user per service that has one and no default user; written to disk at every change. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const command = await requirePart('redis-server');
  return withFreshPorts(async () => {
    const server = new Redis(command, options.name ?? 'redis', await freePort());
    await begin(server);
    return server;
  });
}

class Redis extends Part implements RedisServer {
  readonly testUrl: string;
  readonly folder: string;
  readonly #passwords: Record<RedisService, string>;
  readonly #testPassword: string;

  constructor(command: string, name: string, port: number) {
    const folder = dataFolder(name);
    const passwords = Object.fromEntries(REDIS_SERVICES.map((service) => [service, newPassword()])) as Record<
      RedisService,
      string
    >;
    const testPassword = newPassword();
    const config = [
      `bind 127.0.0.1`,
      `port ${port}`,
      `dir ${JSON.stringify(folder)}`,
      'daemonize no',
      'save ""',
      'appendonly yes',
      'appendfsync everysec',
      'maxmemory 256mb',
      'maxmemory-policy noeviction',
      ...redisUsers(passwords),
      `user test on >${testPassword} ~* &* +@all`,
    ];
    const file = path.join(folder, 'redis.conf');
    writeFileSync(file, config.join('\n') + '\n', { mode: 0o600 });
    super({
      name,
      command,
      args: [file],
      port,
      folders: [folder],
      check: () => redisCommand(port, testPassword, 'PING'),
    });
    this.folder = folder;
    this.testUrl = `redis://test:${testPassword}@127.0.0.1:${port}/0`;
    this.#passwords = passwords;
    this.#testPassword = testPassword;
  }

  url(service: RedisService): string {
    return `redis://kuik-${service}:${this.#passwords[service]}@127.0.0.1:${this.port}/0`;
  }

  async flush(): Promise<void> {
    await redisCommand(this.port, this.#testPassword, 'FLUSHALL');
  }
}

function newPassword(): string {
  return randomBytes(24).toString('hex');
}

/** One command without arguments as the test user, over a connection of its own. Throws on an error reply. */
function redisCommand(port: number, password: string, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(`AUTH test ${password}\r\n${command}\r\n`));
    let reply = '';
    socket.setTimeout(2_000, () => socket.destroy(new Error('redis does not answer')));
    socket.on('data', (chunk) => {
      reply += chunk.toString();
      const error = /^-(.*)$/m.exec(reply);
      if (error) socket.destroy(new Error(`redis answers ${error[1]?.trim() ?? ''}`));
      else if (reply.split('\r\n').length > 2) socket.end(resolve);
    });
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error('redis closed the connection'));
    });
  });
}
