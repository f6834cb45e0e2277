import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { requirePart } from '@kuik/testbed';
import type { Pulled } from '../story/world.ts';

const run = promisify(execFile);

/**
 * Pulls `<registry>/<reference>` with skopeo into an empty folder and hashes what arrived. skopeo verifies every blob against the
 * manifest; the digest is computed here from the manifest's bytes.
 */
export async function pullWithSkopeo(
  registry: string,
  reference: string,
  options: { arch?: string; all?: boolean } = {},
): Promise<Pulled> {
  const skopeo = await requirePart('skopeo');
  const folder = await mkdtemp(path.join(tmpdir(), 'kuik-pull-'));
  const flags = options.arch === undefined ? [] : ['--override-os', 'linux', '--override-arch', options.arch];
  const since = performance.now();
  try {
    await run(
      skopeo,
      [
        ...flags,
        '--insecure-policy',
        'copy',
        '--quiet',
        '--preserve-digests',
        ...(options.all === true ? ['--all'] : []),
        '--src-tls-verify=false',
        `docker://${registry}/${reference}`,
        `dir:${folder}`,
      ],
      { timeout: 60_000 },
    );
    const ms = performance.now() - since;
    const files = await readdir(folder);
    const manifest = await readFile(path.join(folder, 'manifest.json'));
    const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
    return { digest, ms, layers: files.filter((file) => /^[0-9a-f]{64}$/.test(file)).length };
  } catch (error) {
    const text = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1);
    throw new Error(`skopeo cannot pull ${reference} from ${registry}: ${text ?? String(error)}`, { cause: error });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
