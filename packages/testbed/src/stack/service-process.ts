import { existsSync } from 'node:fs';
import path from 'node:path';
import type { ServiceName } from '@kuik/contracts';
import type { ServiceProcess, StartServiceOptions } from '../port.ts';
import { CHECKOUT } from '../process/folders.ts';
import { answers } from '../process/health-check.ts';
import { begin, Part } from '../process/part-process.ts';

/** Starts a service of ours as a process of its own and waits until it says that it is ready. Throws with its log's last lines. */
export async function startService(service: ServiceName, options: StartServiceOptions): Promise<ServiceProcess> {
  const started = new Service(service, options);
  if (options.dontWait) started.start();
  else await begin(started);
  return started;
}

class Service extends Part implements ServiceProcess {
  readonly service: ServiceName;
  readonly metricsUrl: string;

  constructor(service: ServiceName, options: StartServiceOptions) {
    const { name = service, env, healthPort, from = 'dist', readyTimeoutMs } = options;
    const entry = path.join(CHECKOUT, 'services', service, from === 'dist' ? 'dist/main.js' : 'src/main.ts');
    if (!existsSync(entry)) {
      throw new Error(
        `${path.relative(CHECKOUT, entry)} does not exist: build it with \`pnpm --filter @kuik/${service} build\``,
      );
    }
    super({
      name,
      command: process.execPath,
      args: [entry],
      port: healthPort,
      check: () => answers(`http://127.0.0.1:${healthPort}/readyz`),
      stopTimeoutMs: 30_000,
      env: { ...compiled(from, path.dirname(entry)), ...env },
      ...(readyTimeoutMs ? { readyTimeoutMs } : {}),
    });
    this.service = service;
    this.metricsUrl = `http://127.0.0.1:${healthPort}/metrics`;
  }
}

/**
 * Where what runs this keeps compiled code, services keep theirs, too: beside their bundle, with which it goes, or in the same place when they run
 * from their sources. It is a fifth of the work of a bundle's start, and more of the other's. Benchmarks are run by a plain `node`, as the product is.
 */
function compiled(from: 'dist' | 'source', folder: string): Record<string, string> {
  const common = process.env['NODE_COMPILE_CACHE'];
  if (common === undefined) return {};
  return { NODE_COMPILE_CACHE: from === 'dist' ? path.join(folder, '.compiled') : common };
}
