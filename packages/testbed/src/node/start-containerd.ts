import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { requirePart } from '../parts/find.ts';
import type { RuntimeSettings } from '../port.ts';
import { startPart, type Part } from '../process/part-process.ts';
import { SANDBOX_IMAGE, type ContainerImages } from './container-images.ts';
import { containerdConfig } from './containerd.ts';
import type { NodeFiles } from './node-files.ts';
import { podNetwork } from './pod-network.ts';
import { MARK } from './traces.ts';

/** Starts containerd with nothing but the image for sandboxes. */
export async function startContainerd(
  files: NodeFiles,
  images: ContainerImages,
  settings: RuntimeSettings = {},
): Promise<Part> {
  const [command, shim, runc, bridge] = await Promise.all([
    requirePart('containerd'),
    requirePart('containerd-shim-runc-v2'),
    requirePart('runc'),
    requirePart('cni-plugins'),
  ]);
  files.write('cni/10-kuik.conflist', JSON.stringify(podNetwork(files.folder)));
  mkdirSync(files.path('certs.d'), { recursive: true });
  const config = containerdConfig({
    folder: files.folder,
    socket: files.socket,
    runc,
    cniPlugins: path.dirname(bridge),
    sandboxImage: SANDBOX_IMAGE,
    ...settings,
  });
  const part = await startPart({
    name: 'containerd',
    command,
    args: ['--config', files.write('containerd.toml', config)],
    // It looks for its shim there.
    env: { [MARK]: '1', PATH: [path.dirname(shim), process.env['PATH'] ?? '', '/usr/sbin', '/sbin'].join(':') },
    port: 0,
    check: () => images.ctr('version'),
  });
  try {
    await images.importSandbox(files.folder);
  } catch (error) {
    await part.stop();
    throw error;
  }
  return part;
}
