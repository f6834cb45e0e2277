import { requirePart } from '../parts/find.ts';
import type { OwnControlPlane } from '../port.ts';
import { freePort } from '../process/free-port.ts';
import { accepts } from '../process/health-check.ts';
import { startPart, withFreshPorts, type Part } from '../process/part-process.ts';
import type { NodeFiles } from './node-files.ts';
import { MARK } from './traces.ts';

export function startScheduler(files: NodeFiles): Promise<Part> {
  return startController('kube-scheduler', files, []);
}

export function startControllerManager(plane: OwnControlPlane, files: NodeFiles): Promise<Part> {
  return startController('kube-controller-manager', files, [
    `--root-ca-file=${files.write('root-ca.pem', plane.caPem)}`,
    '--use-service-account-credentials',
    `--flex-volume-plugin-dir=${files.path('volume-plugins')}`,
  ]);
}

/** Alone, and so without an election. */
async function startController(
  name: 'kube-scheduler' | 'kube-controller-manager',
  files: NodeFiles,
  more: readonly string[],
): Promise<Part> {
  const command = await requirePart(name);
  const kubeconfig = files.kubeconfig(name, `system:${name}`);
  return withFreshPorts(async () => {
    const port = await freePort();
    return startPart({
      name,
      command,
      args: [
        `--kubeconfig=${kubeconfig}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${port}`,
        '--leader-elect=false',
        ...more,
      ],
      env: { [MARK]: '1' },
      port,
      check: () => accepts(port),
    });
  });
}
