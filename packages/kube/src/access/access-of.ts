import type { KubeClientOptions } from '../port.ts';
import type { Access } from './access.ts';
import { inClusterAccess } from './in-cluster.ts';
import { kubeconfigAccess } from './kubeconfig-access.ts';
import { readKubeconfig } from './kubeconfig.ts';
import { pluginAccess } from './plugin-access.ts';

/** The access that the options ask for. Throws KubeError 'invalid' for a kubeconfig that cannot be used. */
export function accessOf(
  options: Pick<KubeClientOptions, 'kubeconfig' | 'context' | 'inCluster' | 'tokenMaxAgeMs'>,
): Access {
  const { kubeconfig, context, inCluster = {}, tokenMaxAgeMs = 10_000 } = options;
  if (kubeconfig === undefined) return inClusterAccess(inCluster, tokenMaxAgeMs);
  const read = readKubeconfig(kubeconfig, context);
  return read.plugin ? pluginAccess(read, tokenMaxAgeMs) : kubeconfigAccess(read, tokenMaxAgeMs);
}
