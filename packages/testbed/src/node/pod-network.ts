import path from 'node:path';
import { BRIDGE, NETWORK, POD_SUBNET } from './traces.ts';

/**
 * The CNI network of the node's pods: a bridge that leads to this machine. There is no way out, no host port and so no rule of iptables.
 */
export function podNetwork(folder: string): object {
  return {
    cniVersion: '1.0.0',
    name: NETWORK,
    plugins: [
      {
        type: 'bridge',
        bridge: BRIDGE,
        isGateway: true,
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: POD_SUBNET }]],
          routes: [{ dst: '0.0.0.0/0' }],
          dataDir: path.join(folder, 'ipam'),
        },
      },
    ],
  };
}
