import path from 'node:path';
import { CGROUP, NODE_ADDRESS } from './traces.ts';

export interface KubeletSettings {
  readonly folder: string;
  /** containerd's. */
  readonly socket: string;
  readonly port: number;
  readonly healthPort: number;
  readonly caFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

/**
 * kubelet's configuration (https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1), everything of it below the folder and
 * the node's cgroup.
 */
export function kubeletConfig(settings: KubeletSettings): object {
  const { folder, socket, port, healthPort, caFile, certificateFile, keyFile } = settings;
  const below = (...names: string[]): string => path.join(folder, ...names);
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: NODE_ADDRESS,
    port,
    healthzBindAddress: '127.0.0.1',
    healthzPort: healthPort,
    readOnlyPort: 0,
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${CGROUP}`,
    // A machine with cgroup v1, or with swap, would be refused.
    failCgroupV1: false,
    failSwapOn: false,
    // The default is more than many machines allow.
    maxOpenFiles: 20_000,
    makeIPTablesUtilChains: false,
    resolvConf: below('resolv.conf'),
    podLogsDir: below('pod-logs'),
    volumePluginDir: below('volume-plugins'),
    // Nothing listens there unless there is a network of Services (service-network.ts): pods only have to be told something.
    clusterDNS: [NODE_ADDRESS],
    clusterDomain: 'cluster.local',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: caFile } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: certificateFile,
    tlsPrivateKeyFile: keyFile,
    // Full by a person's measure, not by a machine's on which tests run.
    evictionHard: {
      'memory.available': '100Mi',
      'nodefs.available': '1%',
      'imagefs.available': '1%',
      'nodefs.inodesFree': '1%',
    },
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    nodeStatusUpdateFrequency: '5s',
  };
}
