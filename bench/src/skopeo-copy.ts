import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { requirePart } from '@kuik/testbed';
import { cpuSplit, spentSince, type CpuSplit } from './cpu-split.ts';

export interface SkopeoCopy {
  readonly ms: number;
  readonly cpuSeconds: number;
  /** Of everything else that runs. */
  readonly cpu: CpuSplit;
}

/**
 * Copies an image, all platforms, digests preserved, between two registries (`host:port/repository:tag`); the target is spoken to over plain HTTP
 * with `token`. What it knows of blobs from before is nothing: its cache folder is new each time. Rejects with its last words.
 */
export async function skopeoCopy(source: string, target: string, token: string): Promise<SkopeoCopy> {
  const skopeo = await requirePart('skopeo');
  const home = mkdtempSync(path.join(tmpdir(), 'kuik-skopeo-'));
  const args = ['--insecure-policy', 'copy', '--quiet', '--all', '--preserve-digests', '--src-tls-verify=false'];
  const ends = ['--dest-tls-verify=false', '--dest-registry-token', token, `docker://${source}`, `docker://${target}`];
  // The shell says how much CPU its children took; who started a process cannot ask that in Node.
  const script = '"$@"; code=$?; times >&2; exit $code';
  try {
    const [began, all] = [performance.now(), cpuSplit()];
    const child = spawn('bash', ['-c', script, 'skopeo', skopeo, ...args, ...ends], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, _CONTAINERS_ROOTLESS_UID: '1', XDG_DATA_HOME: home },
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const code = await new Promise((resolve, reject) => child.on('close', resolve).on('error', reject));
    const ms = performance.now() - began;
    if (code !== 0) throw new Error(`skopeo copy ${source}: ${said.trim()}`);
    return { ms, cpuSeconds: childrenCpu(said), cpu: spentSince(all) };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** The second line of bash's `times`: user and system time of its children, `0m1.234s 0m0.567s`. */
function childrenCpu(times: string): number {
  const line = times.trim().split('\n').at(-1) ?? '';
  return [...line.matchAll(/(\d+)m([\d.]+)s/g)].reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0);
}
