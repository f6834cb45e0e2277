import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { freePort } from '@kuik/testbed';
import { portAnswers } from './port-answers.ts';

/** nginx with bench/nginx.conf.template in front of `backend` (`127.0.0.1:5000`). */
export async function startNginx(
  folder: string,
  name: string,
  backend: string,
): Promise<{ process: ChildProcess; port: number }> {
  const home = path.join(folder, name);
  mkdirSync(home);
  const port = await freePort();
  const template = readFileSync(path.join(import.meta.dirname, '../nginx.conf.template'), 'utf8');
  const values: Record<string, string> = { FOLDER: home, BACKEND: backend, PORT: String(port) };
  const file = path.join(home, 'nginx.conf');
  writeFileSync(
    file,
    template.replaceAll(/\$\{([A-Z]+)\}/g, (whole, key: string) => values[key] ?? whole),
  );
  const child = spawn('nginx', ['-e', path.join(home, 'error.log'), '-c', file, '-p', home], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
  });
  await portAnswers(port);
  return { process: child, port };
}
