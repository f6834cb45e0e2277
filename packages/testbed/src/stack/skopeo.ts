import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { requirePart } from '../parts/find.ts';

const run = promisify(execFile);

/**
 * Runs skopeo and returns what it printed. Run by root it would keep its cache of blob locations in /var/lib; here it gets a folder that
 * goes away with the call. Throws Error with skopeo's own last words.
 */
export async function runSkopeo(args: readonly string[], options: { timeoutMs?: number } = {}): Promise<string> {
  const skopeo = await requirePart('skopeo');
  const home = await mkdtemp(path.join(tmpdir(), 'kuik-skopeo-'));
  const env = { ...process.env, _CONTAINERS_ROOTLESS_UID: '1', XDG_DATA_HOME: home };
  try {
    const { stdout } = await run(skopeo, ['--insecure-policy', ...args], {
      timeout: options.timeoutMs ?? 60_000,
      env,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  } catch (error) {
    const text = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1);
    throw new Error(`skopeo ${args.join(' ')}: ${text ?? String(error)}`, { cause: error });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}
