import { describe, expect, it } from '@jest/globals';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { until } from '../process/until.ts';
import { makeImage, makeIndex } from './make-image.ts';
import { ociArchive } from './oci-archive.ts';
import { waitingProgram } from './waiting-program.ts';

const RT_SIGTIMEDWAIT = '128 ';
const HERE = process.platform === 'linux' && process.arch === 'x64' ? it : it.skip;

function inFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), 'runnable-'));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('the waiting program', () => {
  it.each([
    ['amd64', 62],
    ['arm64', 183],
  ])('is an executable for %s', (architecture, machine) => {
    const file = waitingProgram(architecture);
    expect(file.subarray(1, 4).toString()).toBe('ELF');
    expect(file.readUInt16LE(18)).toBe(machine);
    expect(file.length).toBeLessThan(300);
  });

  it('is not there for other architectures', () => {
    expect(() => waitingProgram('riscv64')).toThrow('riscv64');
  });

  // Machine code: only a machine of its kind can tell.
  HERE('ends at once when it is given an argument, else when it is told to', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'runnable-'));
    try {
      const program = path.join(folder, 'program');
      writeFileSync(program, waitingProgram('amd64'), { mode: 0o755 });
      execFileSync(program, ['end'], { timeout: 5_000 });
      const waiting = spawn(program);
      try {
        await once(waiting, 'spawn');
        // The number of the system call that it sleeps in (proc_pid_syscall(5)).
        const call = (): string => readFileSync(`/proc/${waiting.pid!}/syscall`, 'utf8');
        await until(() => call().startsWith(RT_SIGTIMEDWAIT), { what: 'it to listen', timeoutMs: 5_000 });
        waiting.kill('SIGCONT');
        waiting.kill('SIGTERM');
        expect(await once(waiting, 'exit')).toEqual([0, null]);
      } finally {
        waiting.kill('SIGKILL');
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a runnable image', () => {
  it('has the program of its platform in front and starts with it', async () => {
    const image = await makeIndex({ seed: 'r', runnable: true, layers: [100], attestation: false });
    const configs = image.blobs
      .map((blob) => Buffer.concat([...blob.open()]).toString())
      .filter((text) => text.startsWith('{'))
      .map(
        (text) =>
          JSON.parse(text) as {
            architecture: string;
            config: { Entrypoint: string[] };
            rootfs: { diff_ids: string[] };
          },
      );
    expect(configs.map(({ architecture }) => architecture).sort()).toEqual(['amd64', 'arm64']);
    for (const { config } of configs) expect(config.Entrypoint).toEqual(['/program']);
    expect(new Set(configs.map(({ rootfs }) => rootfs.diff_ids[0])).size).toBe(2);
  });

  it('is unpacked by tar with the right to be run', async () => {
    const image = await makeImage({ seed: 'r', runnable: true, layers: [] });
    inFolder((folder) => {
      const file = path.join(folder, 'image.tar');
      writeFileSync(file, ociArchive(image, 'example.test/x:1'));
      execFileSync('tar', ['-xf', file, '-C', folder]);
      const index = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8')) as { manifests: object[] };
      expect(index.manifests).toMatchObject([
        { digest: image.digest, annotations: { 'io.containerd.image.name': 'example.test/x:1' } },
      ]);
      const layer = image.blobs.at(-1)!;
      const blob = path.join(folder, 'blobs', layer.digest.replace(':', '/'));
      expect(execFileSync('tar', ['-tvzf', blob], { encoding: 'utf8' })).toMatch(/^-rwxr-xr-x .* program\n$/);
    });
  });
});
