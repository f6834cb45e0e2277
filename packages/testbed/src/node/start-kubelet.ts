import { requirePart } from '../parts/find.ts';
import type { OwnControlPlane } from '../port.ts';
import { freePort } from '../process/free-port.ts';
import { answers } from '../process/health-check.ts';
import { startPart, withFreshPorts, type Part } from '../process/part-process.ts';
import { kubeletConfig } from './kubelet.ts';
import type { NodeFiles } from './node-files.ts';
import { MARK, NODE_ADDRESS } from './traces.ts';

/** Starts kubelet, which registers the node; containerd runs already. */
export async function startKubelet(plane: OwnControlPlane, node: string, files: NodeFiles): Promise<Part> {
  const command = await requirePart('kubelet');
  const serving = plane.issue({ commonName: node, hosts: [node, NODE_ADDRESS], usages: ['server'] });
  const kubeconfig = files.kubeconfig('kubelet', `system:node:${node}`, ['system:nodes']);
  files.write('resolv.conf', '');
  return withFreshPorts(async () => {
    const [port, healthPort] = [await freePort(), await freePort()];
    const config = kubeletConfig({
      folder: files.folder,
      socket: files.socket,
      port,
      healthPort,
      caFile: files.write('ca.pem', plane.caPem),
      certificateFile: files.write('kubelet.pem', serving.certificate),
      keyFile: files.write('kubelet-key.pem', serving.privateKey),
    });
    return startPart({
      name: 'kubelet',
      command,
      args: [
        `--config=${files.write('kubelet.json', JSON.stringify(config))}`,
        `--kubeconfig=${kubeconfig}`,
        `--root-dir=${files.path('kubelet')}`,
        `--cert-dir=${files.path('kubelet-certificates')}`,
        `--node-ip=${NODE_ADDRESS}`,
        `--hostname-override=${node}`,
      ],
      env: { [MARK]: '1' },
      port: healthPort,
      check: () => answers(`http://127.0.0.1:${healthPort}/healthz`),
    });
  });
}
