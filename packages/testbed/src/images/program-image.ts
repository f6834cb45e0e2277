import { execFile } from 'node:child_process';
import { globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { digestOf } from '@kuik/image';
import { imageOf, type MadeImage } from './image.ts';
import { writeJson } from './json-style.ts';
import { layerMediaType, MEDIA_TYPES } from './media-types.ts';
import { tarOf } from './tar.ts';

const run = promisify(execFile);

export interface ProgramImageOptions {
  /** Where each is in the image, and which file of this machine it is. The libraries that it is linked with come along. */
  readonly programs: Readonly<Record<string, string>>;
  /** Where each is in the image, and which folder of this machine it is. */
  readonly folders?: Readonly<Record<string, string>>;
  /** Runtime part of the config: `Entrypoint`, `Env`, `WorkingDir`.. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** An image of programs of this machine (Linux), as a container engine would build it on a base with the same libraries. One layer, not compressed. */
export async function imageOfPrograms({ programs, folders = {}, config }: ProgramImageOptions): Promise<MadeImage> {
  const files = new Map<string, { from: string; mode: '0000644' | '0000755' }>();
  for (const [at, from] of Object.entries(programs)) {
    files.set(at, { from, mode: '0000755' });
    for (const library of await librariesOf(from)) files.set(library, { from: library, mode: '0000755' });
  }
  for (const [at, folder] of Object.entries(folders)) {
    const inside = globSync('**', { cwd: folder }).filter((name) => statSync(path.join(folder, name)).isFile());
    for (const name of inside) files.set(path.join(at, name), { from: path.join(folder, name), mode: '0000644' });
  }
  const entries = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  const layer = tarOf(
    entries.map(([at, { from, mode }]) => ({ name: at.replace(/^\//, ''), content: readFileSync(from), mode })),
  );
  const digest = digestOf(layer);
  return imageOf({
    format: 'oci',
    json: 'compact',
    config: {
      mediaType: MEDIA_TYPES.oci.config,
      bytes: writeJson({
        created: '1970-01-01T00:00:00Z',
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        config,
        rootfs: { type: 'layers', diff_ids: [digest] },
      }),
    },
    layers: [{ mediaType: layerMediaType('oci', 'tar', false), digest, size: layer.length, open: () => [layer] }],
  });
}

/** Paths of the shared libraries and of the loader, as ldd(1) names them; none of a program that is linked statically. */
async function librariesOf(program: string): Promise<string[]> {
  try {
    const { stdout } = await run('ldd', [program]);
    return [...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, library]) => library!);
  } catch (error) {
    if (/not a dynamic executable/.test((error as { stderr?: string }).stderr ?? '')) return [];
    throw error;
  }
}
