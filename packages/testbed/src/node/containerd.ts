import path from 'node:path';
import type { RuntimeSettings } from '../port.ts';

export interface ContainerdSettings extends RuntimeSettings {
  readonly folder: string;
  readonly socket: string;
  readonly runc: string;
  readonly cniPlugins: string;
  /** The image that holds a pod's namespaces. */
  readonly sandboxImage: string;
}

/**
 * containerd's configuration, everything of it below the folder. Paths are written as TOML strings, which JSON strings are
 * (https://github.com/containerd/containerd/blob/main/docs/cri/config.md).
 */
export function containerdConfig(settings: ContainerdSettings): string {
  const { folder, socket, runc, cniPlugins, sandboxImage } = settings;
  const { pullProgressTimeout = '5m', layerFetchBuffer = 0 } = settings;
  const below = (...names: string[]): string => JSON.stringify(path.join(folder, ...names));
  return `version = 3
root = ${below('containerd')}
state = ${below('state')}

[grpc]
  address = ${JSON.stringify(socket)}

# It would open a socket outside of the folder.
[plugins."io.containerd.nri.v1.nri"]
  disable = true

[plugins."io.containerd.internal.v1.opt"]
  path = ${below('opt')}

[plugins."io.containerd.transfer.v1.local"]
  concurrent_layer_fetch_buffer = ${layerFetchBuffer}
  config_path = ${below('certs.d')}

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  concurrent_layer_fetch_buffer = ${layerFetchBuffer}
  image_pull_progress_timeout = ${JSON.stringify(pullProgressTimeout)}
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = ${JSON.stringify(sandboxImage)}
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = ${below('certs.d')}

[plugins."io.containerd.cri.v1.runtime"]
  # Machines without the privilege to lower it are common: containers in which tests run.
  restrict_oom_score_adj = true
  # It would load a profile into the kernel and leave it there.
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      BinaryName = ${JSON.stringify(runc)}
      SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [${JSON.stringify(cniPlugins)}]
    conf_dir = ${below('cni')}
`;
}
