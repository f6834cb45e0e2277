import { digestOf } from '@kuik/image';
import { storedGzip } from './compression.ts';
import type { MadeLayer } from './layer.ts';
import { tarFile } from './tar.ts';
import { waitingProgram } from './waiting-program.ts';

/** Where a runnable image has its program: its `Entrypoint`. */
export const PROGRAM = '/program';

/** The layer that makes an image one that a node can run (see waiting-program.ts). Throws for an architecture without a program. */
export function programLayer(architecture: string): MadeLayer {
  const tar = tarFile(PROGRAM.slice(1), waitingProgram(architecture), '0000755');
  const blob = Buffer.concat([...storedGzip([tar])]);
  return { digest: digestOf(blob), diffId: digestOf(tar), size: blob.length, encoding: 'gzip', open: () => [blob] };
}
