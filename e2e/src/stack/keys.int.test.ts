import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { SERVICES } from '@kuik/contracts';
import { leaseTestbed, requirePart, type KubeObject, type Stack } from '@kuik/testbed';
import { chartObjects } from './chart-objects.ts';

const run = promisify(execFile);
const KEYS = path.resolve(import.meta.dirname, '../../../services/keys/dist/main.js');
type Secret = KubeObject & { data: Record<string, string> };

let stack: Stack<'controlPlane'>;
let kubeconfig: string;
beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane'] });
  const { controlPlane } = stack;
  await controlPlane.namespace('kuik-system');
  await controlPlane.namespace('kuik-system-proxy');
  const mine = (await chartObjects()).filter(({ kind, metadata }) => metadata.name === 'kuik-keys' && kind !== 'Job');
  expect(mine.map(({ kind }) => kind).sort()).toEqual(['Role', 'Role', 'RoleBinding', 'RoleBinding', 'ServiceAccount']);
  await controlPlane.applyAll(mine);
  kubeconfig = await controlPlane.kubeconfigFor('kuik-system', 'kuik-keys');
}, 60_000);
afterAll(() => stack.stop());

/** Runs the job as the chart's ServiceAccount with the chart's roles; returns what became of each Secret. */
async function runJob(): Promise<Record<string, string>> {
  const { stdout } = await run(process.execPath, [KEYS], { env: { KUIK_KUBE_KUBECONFIG: kubeconfig } });
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { message: string; name?: string; fate?: string });
  const ensured = lines.filter(({ message }) => message === 'secret ensured');
  return Object.fromEntries(ensured.map(({ name = '', fate = '' }) => [name, fate] as const));
}

const secret = (name: string, namespace = 'kuik-system'): Promise<Secret> =>
  stack.controlPlane.api.get<Secret>(`/api/v1/namespaces/${namespace}/secrets/${name}`);
const text = (object: Secret, file: string): string => Buffer.from(object.data[file]!, 'base64').toString('utf8');

describe('the keys job, with the rights that the chart gives it', () => {
  it('makes every Secret once, and nothing the second time', async () => {
    const first = await runJob();
    expect(Object.keys(first)).toHaveLength(SERVICES.length + 4);
    expect(new Set(Object.values(first))).toEqual(new Set(['created']));
    const seed = text(await secret('kuik-keys-gc'), 'nkey');
    expect(new Set(Object.values(await runJob()))).toEqual(new Set(['unchanged']));
    expect(text(await secret('kuik-keys-gc'), 'nkey')).toBe(seed);
    expect(text(await secret('kuik-keys-node-proxy', 'kuik-system-proxy'), 'registry.key')).toContain('PRIVATE KEY');
  });

  it('makes a lost Secret again without touching the others', async () => {
    const before = text(await secret('kuik-registry'), 'http-secret');
    await stack.controlPlane.api.delete('/api/v1/namespaces/kuik-system/secrets/kuik-keys-monitor');
    const fates = await runJob();
    expect(fates['kuik-keys-monitor']).toBe('created');
    expect(fates['kuik-nats']).toBe('updated');
    expect(fates['kuik-keys-gc']).toBe('unchanged');
    expect(text(await secret('kuik-registry'), 'http-secret')).toBe(before);
  });

  it('writes a configuration that nats-server takes', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'kuik-nats-'));
    try {
      const file = path.join(folder, 'nats.conf');
      writeFileSync(file, text(await secret('kuik-nats'), 'nats.conf').replace('/data', folder));
      const { stderr } = await run(await requirePart('nats-server'), ['-t', '-c', file]);
      expect(stderr).toContain('is valid');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
