import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { accepts, answers } from '../process/health-check.ts';
import type { Launch } from '../process/part-process.ts';
import { registryConfig, type RegistryProcess } from './registry-config.ts';

/** How a Distribution process is started; its configuration is written into `configFolder`. */
export function registryLaunch(
  command: string,
  name: string,
  configFolder: string,
  settings: RegistryProcess,
  folders: readonly string[],
): Launch {
  const file = path.join(configFolder, `${name}.json`);
  writeFileSync(file, registryConfig(settings), { mode: 0o600 });
  return {
    name,
    command,
    args: ['serve', file],
    env: { OTEL_TRACES_EXPORTER: 'none' },
    port: settings.port,
    folders,
    check: () =>
      settings.tls
        ? accepts(settings.port)
        : answers(`http://127.0.0.1:${settings.port}/v2/`, (settings.trust ?? settings.htpasswdFile) ? [401] : [200]),
  };
}
