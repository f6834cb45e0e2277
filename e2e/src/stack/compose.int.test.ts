import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { SERVICES } from '@kuik/contracts';
import { parse, parseAllDocuments } from 'yaml';
import { composeIdentities } from './compose-identities.ts';
import { readDeclarations } from './declarations.ts';
import { loadedBy } from './rendered-settings.ts';

const run = promisify(execFile);
const CHECKOUT = path.resolve(import.meta.dirname, '../../..');
const read = (file: string): string => readFileSync(path.join(CHECKOUT, file), 'utf8');

interface ComposeService {
  ports?: string[];
  volumes?: (string | { source: string; target: string; volume?: { subpath?: string } })[];
  environment?: Record<string, string>;
}
const compose = parse(read('docker-compose.yaml'), { merge: true }) as { services: Record<string, ComposeService> };

describe('docker-compose.yaml', () => {
  it('runs every service', () => {
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining([...SERVICES]));
  });

  it('publishes ports on 127.0.0.1 only', () => {
    const ports = Object.values(compose.services).flatMap((service) => service.ports ?? []);
    expect(ports.length).toBeGreaterThan(0);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  });

  it('mounts files that exist', () => {
    const mounted = Object.values(compose.services)
      .flatMap((service) => service.volumes ?? [])
      .filter((volume): volume is string => typeof volume === 'string' && volume.startsWith('./'))
      .map((volume) => volume.split(':')[0]!);
    expect(mounted.length).toBeGreaterThan(0);
    expect(mounted.filter((file) => !existsSync(path.join(CHECKOUT, file)))).toEqual([]);
  });

  it.each(SERVICES)('gives %s settings that it accepts, and the files that they name', async (service) => {
    const settings = read(`deploy/compose/settings/${service}.yaml`);
    expect(await loadedBy(service, settings)).toMatchObject({ nats: { url: 'nats://nats:4222' } });
    const { volumes, environment } = compose.services[service]!;
    const { env } = readDeclarations().get(service)!;
    expect(environment).toEqual({ KUIK_CONFIG: `/etc/kuik/settings/${service}.yaml`, ...env });
    const targets = volumes!.map((volume) => (typeof volume === 'string' ? volume.split(':')[1]! : volume.target));
    const named = [...settings.matchAll(/(?:File|kubeconfig): ([^\s,}]+)/g)].map(([, file]) => path.dirname(file!));
    expect(targets).toEqual(expect.arrayContaining(named));
  });

  it("has the chart's roles and registration; `node scripts/render-compose.ts` renders them anew", async () => {
    const objects = (text: string): unknown[] => parseAllDocuments(text).map((document) => document.toJS() as unknown);
    expect(objects(read('deploy/compose/identities.yaml'))).toEqual(objects(await composeIdentities()));
  });

  it('prepares its volumes once: every folder that is mounted, and a user per service', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'kuik-compose-'));
    try {
      const prepare = (): Promise<unknown> =>
        run(process.execPath, [path.join(CHECKOUT, 'deploy/compose/prepare.mjs'), folder]);
      await prepare();
      const tokens = readFileSync(path.join(folder, 'cluster/apiserver/tokens.csv'), 'utf8');
      expect(tokens).toContain(',system:serviceaccount:kuik-system-proxy:kuik-node-proxy,');
      const subpaths = Object.values(compose.services)
        .flatMap((service) => service.volumes ?? [])
        .flatMap((volume) =>
          typeof volume !== 'string' && volume.source === 'cluster' ? [volume.volume!.subpath!] : [],
        );
      expect(readdirSync(path.join(folder, 'cluster'))).toEqual(expect.arrayContaining(subpaths));
      await prepare();
      expect(readFileSync(path.join(folder, 'cluster/apiserver/tokens.csv'), 'utf8')).toBe(tokens);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
