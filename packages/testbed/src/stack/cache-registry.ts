import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { requirePart } from '../parts/find.ts';
import type { CacheRegistry, PartProcess, RegistryAccess, RegistryKey } from '../port.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { begin, Part, withFreshPorts } from '../process/part-process.ts';
import { registryLaunch } from './registry-process.ts';
import { createRegistryKey, registryToken } from './registry-token.ts';

export interface CacheOptions {
  /** The processes are named `<name>-writer` and `<name>-reader`; default `cache`. */
  readonly name?: string;
}

/** Starts both processes over one empty storage folder. */
export async function startCacheRegistry(options: CacheOptions = {}): Promise<CacheRegistry> {
  const command = await requirePart('registry');
  const cache = new Cache(options.name ?? 'cache');
  try {
    await cache.start(command);
  } catch (error) {
    await cache.stop();
    throw error;
  }
  return cache;
}

type Side = 'writer' | 'reader';

class Cache implements CacheRegistry {
  readonly folder: string;
  readonly writerKey: RegistryKey = createRegistryKey('kuik-w');
  readonly readerKey: RegistryKey = createRegistryKey('kuik-r');
  readonly #name: string;
  readonly #data: string;
  readonly #httpSecret = randomBytes(16).toString('hex');
  readonly #processes = new Map<Side, Part>();

  constructor(name: string) {
    this.#name = name;
    this.#data = dataFolder(name);
    this.folder = path.join(this.#data, 'storage');
    mkdirSync(this.folder);
  }

  get writer(): PartProcess {
    return this.#process('writer');
  }

  get reader(): PartProcess {
    return this.#process('reader');
  }

  get writerUrl(): string {
    return `http://127.0.0.1:${this.writer.port}`;
  }

  get readerUrl(): string {
    return `http://127.0.0.1:${this.reader.port}`;
  }

  async start(command: string): Promise<void> {
    await Promise.all([this.#startSide(command, 'writer'), this.#startSide(command, 'reader')]);
  }

  authorization(side: Side, access: readonly RegistryAccess[]): string {
    return `Bearer ${registryToken(side === 'writer' ? this.writerKey : this.readerKey, access)}`;
  }

  async wipe(): Promise<void> {
    await Promise.all([this.writer.kill('SIGTERM'), this.reader.kill('SIGTERM')]);
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder);
    await Promise.all([this.writer.restart(), this.reader.restart()]);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((part) => part.stop()));
    rmSync(this.#data, { recursive: true, force: true });
  }

  async #startSide(command: string, side: Side): Promise<void> {
    const key = side === 'writer' ? this.writerKey : this.readerKey;
    const certificateFile = path.join(this.#data, `${side}.pem`);
    writeFileSync(certificateFile, key.certificate);
    const part = await withFreshPorts(async () => {
      const settings = {
        port: await freePort(),
        folder: this.folder,
        httpSecret: this.#httpSecret,
        readOnly: side === 'reader',
        trust: { issuer: key.issuer, audience: key.audience, certificateFile },
      };
      const started = new Part(registryLaunch(command, `${this.#name}-${side}`, this.#data, settings, []));
      await begin(started);
      return started;
    });
    this.#processes.set(side, part);
  }

  #process(side: Side): Part {
    const part = this.#processes.get(side);
    if (!part) throw new Error(`${this.#name}-${side} was not started`);
    return part;
  }
}
