import { spawn } from 'node:child_process';
import path from 'node:path';
import { cacheFolder } from '../packages/testbed/src/index.ts';

/**
 * Bundles every service into services/<name>/dist/main.js; what did not change comes out of turbo's cache.
 * Throws with turbo's output when one cannot be built. Needs `turbo` and `pnpm` on PATH, as the bootstrap gives them.
 */
export async function buildServices(): Promise<void> {
  const args = ['run', 'build', '--filter=./services/*', '--output-logs=errors-only', '--ui=stream'];
  const child = spawn('turbo', [...args, `--cache-dir=${path.join(cacheFolder(), 'turbo')}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const code = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
  if (code !== 0) throw new Error(`the services could not be built:\n${output.trim()}`);
}
