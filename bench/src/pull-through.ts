import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, requirePart } from '@kuik/testbed';
import { portAnswers } from './port-answers.ts';

export interface PullThrough {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/** Distribution's own pull-through cache of one registry, with empty storage; `ca` is the PEM that upstream's certificate is checked by. */
export async function startPullThrough(upstream: string, ca: string): Promise<PullThrough> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-pull-through-'));
  mkdirSync(path.join(folder, 'storage'));
  const file = (name: string, text: string): string => {
    writeFileSync(path.join(folder, name), text);
    return path.join(folder, name);
  };
  const port = await freePort();
  const config = {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: path.join(folder, 'storage') } },
    http: { addr: `127.0.0.1:${port}` },
    proxy: { remoteurl: upstream },
  };
  const child = spawn(await requirePart('registry'), ['serve', file('config.json', JSON.stringify(config))], {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { PATH: process.env['PATH'], OTEL_TRACES_EXPORTER: 'none', SSL_CERT_FILE: file('ca.pem', ca) },
  });
  await portAnswers(port);
  return {
    pid: child.pid!,
    port,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
