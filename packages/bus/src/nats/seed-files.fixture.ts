import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICES } from '@kuik/contracts';
import type { ServiceName } from '@kuik/contracts';
import type { NatsServer } from '@kuik/testbed';

/** Files with the seeds of a server's users. */
export function seedFiles(server: NatsServer): { of: (service: ServiceName | 'test') => string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'kuik-seeds-'));
  for (const service of SERVICES) writeFileSync(join(folder, service), `${server.seeds[service]}\n`);
  writeFileSync(join(folder, 'test'), server.testSeed);
  return { of: (service) => join(folder, service), remove: () => rmSync(folder, { recursive: true }) };
}
