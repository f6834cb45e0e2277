import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { runSkopeo } from '@kuik/testbed';
import type { Pulled } from '../story/world.ts';

/**
 * Pulls `<registry>/<reference>` with skopeo into an empty folder and hashes what arrived. skopeo verifies every blob against the
 * manifest; the digest is computed here from the manifest's bytes.
 */
export async function pullWithSkopeo(
  registry: string,
  reference: string,
  options: { arch?: string; all?: boolean; creds?: string } = {},
): Promise<Pulled> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kuik-pull-'));
  const platform = options.arch === undefined ? [] : ['--override-os', 'linux', '--override-arch', options.arch];
  const copy = ['copy', '--quiet', '--preserve-digests', '--src-tls-verify=false'];
  const since = performance.now();
  try {
    await runSkopeo([
      ...platform,
      ...copy,
      ...(options.all === true ? ['--all'] : []),
      ...(options.creds === undefined ? [] : ['--src-creds', options.creds]),
      `docker://${registry}/${reference}`,
      `dir:${folder}`,
    ]);
    const ms = performance.now() - since;
    const files = await readdir(folder);
    const manifest = await readFile(path.join(folder, 'manifest.json'));
    const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
    return { digest, ms, layers: files.filter((file) => /^[0-9a-f]{64}$/.test(file)).length };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
