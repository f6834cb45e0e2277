import path from 'node:path';
import { requirePart } from '../parts/find.ts';
import { dataFolder } from '../process/folders.ts';
import { freePort } from '../process/free-port.ts';
import { answers } from '../process/health-check.ts';
import { startPart, withFreshPorts, type Part } from '../process/part-process.ts';

/** Starts an empty etcd over plain HTTP on loopback; it does not wait for the disk. */
export async function startEtcd(name: string): Promise<Part> {
  const command = await requirePart('etcd');
  return withFreshPorts(async () => {
    const [port, peerPort] = [await freePort(), await freePort()];
    const folder = dataFolder(name);
    const [client, peer] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${peerPort}`];
    return startPart({
      name,
      command,
      args: [
        `--name=${name}`,
        `--data-dir=${path.join(folder, 'etcd')}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=${name}=${peer}`,
        '--unsafe-no-fsync',
        '--log-level=warn',
        // A cluster of one elects itself; waiting for others is most of its start.
        '--heartbeat-interval=20',
        '--election-timeout=100',
      ],
      port,
      folders: [folder],
      check: () => answers(`${client}/readyz`),
    });
  });
}
