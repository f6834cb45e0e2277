import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';

const SCRIPT = `
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ resolve(specifier, context, next) { const found = next(specifier, context); loaded.push(found.url); return found; } });
const { createKubeClient, NODES } = await import(process.argv[1]);
const client = createKubeClient({ inCluster: { server: 'http://127.0.0.1:1', tokenFile: process.argv[1], caFile: process.argv[1] } });
await client.list(NODES).catch(() => undefined);
await client.close();
console.log(JSON.stringify({ library: loaded.filter((url) => url.includes('client-node')).length, modules: loaded.length }));
`;

describe('importing this package', () => {
  it('does not load @kubernetes/client-node, nor does a first call without a plugin', async () => {
    const door = fileURLToPath(new URL('./index.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT, door]);
    const { library, modules } = JSON.parse(stdout) as { library: number; modules: number };
    expect(library).toBe(0);
    expect(modules).toBeGreaterThan(20);
  });
});
