import { requirePart } from '../parts/find.ts';
import type { KubeObject, NodeOptions, OwnControlPlane, RealNode } from '../port.ts';
import type { Part } from '../process/part-process.ts';
import { until } from '../process/until.ts';
import { ContainerImages } from './container-images.ts';
import { Keeper } from './keeper.ts';
import { NodeFiles } from './node-files.ts';
import { startContainerd } from './start-containerd.ts';
import { startControllerManager, startScheduler } from './start-controllers.ts';
import { startKubelet } from './start-kubelet.ts';
import { NODE_ADDRESS } from './traces.ts';
import { whyNoNode } from './why-no-node.ts';

/** This machine cannot have a real node; the message has a line for each thing that is missing. */
export class NoNodeHere extends Error {
  override readonly name = 'NoNodeHere';
}

/**
 * Starts a real node for a control plane: ready when the API server calls it Ready. Waits for its turn while another run on this machine
 * has one. What the node leaves is removed by `stop`, and also when this process dies without it.
 */
export async function startNode(plane: OwnControlPlane, options: NodeOptions = {}): Promise<RealNode> {
  const missing = await whyNoNode();
  if (missing.length > 0) throw new NoNodeHere(missing.join('\n'));
  const { name = 'node-1', waitMs = 120_000, onWait, ...settings } = options;
  const keeper = await Keeper.take({ waitMs, ...(onWait && { onWait }) });
  const started: Part[] = [];
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= end(started, keeper));
  const listed = async (starting: Promise<Part>): Promise<Part> => {
    const part = await starting;
    started.push(part);
    return part;
  };
  try {
    const files = new NodeFiles(plane);
    const images = new ContainerImages(await requirePart('ctr'), files.socket);
    await allowKubelets(plane);
    const runtime = listed(startContainerd(files, images, settings));
    const [containerd, kubelet, scheduler, controllerManager] = await allOf([
      runtime,
      runtime.then(() => listed(startKubelet(plane, name, files))),
      listed(startScheduler(files)),
      listed(startControllerManager(plane, files)),
    ]);
    await until(() => isReady(plane, name), { what: `node ${name} to be Ready`, timeoutMs: 60_000, everyMs: 50 });
    return {
      name,
      address: NODE_ADDRESS,
      containerd,
      kubelet,
      scheduler,
      controllerManager,
      ctr: (...args) => images.ctr(...args),
      importImage: (image, imageName) => images.import(files.folder, image, imageName),
      images: () => images.list(),
      removeImages: () => images.removeAll(),
      stop,
    };
  } catch (error) {
    const left = await stop().then(
      () => undefined,
      (reason: Error) => reason,
    );
    throw left ? new AggregateError([error, left], `${(error as Error).message}\n${left.message}`) : error;
  }
}

/** Killed, not ended: nothing of it is kept, and the keeper ends what they started. */
async function end(started: readonly Part[], keeper: Keeper): Promise<void> {
  await Promise.all(started.map((part) => part.kill()));
  await Promise.all(started.map((part) => part.stop()));
  await keeper.release();
}

/** Waits for all, also when one fails: what starts late is stopped as well. */
async function allOf<T extends readonly Promise<Part>[]>(parts: readonly [...T]): Promise<{ [K in keyof T]: Part }> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}

/** The right that the API server's own authoriser of nodes would give them. */
async function allowKubelets(plane: OwnControlPlane): Promise<void> {
  const apiGroup = 'rbac.authorization.k8s.io';
  await plane.api.apply({
    apiVersion: `${apiGroup}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name: 'testbed-nodes' },
    roleRef: { apiGroup, kind: 'ClusterRole', name: 'system:node' },
    subjects: [{ apiGroup, kind: 'Group', name: 'system:nodes' }],
  });
}

type Node = KubeObject & { spec: { taints?: object[] }; status?: { conditions?: { type: string; status: string }[] } };

async function isReady(plane: OwnControlPlane, name: string): Promise<boolean> {
  const { spec, status } = await plane.api.get<Node>(`/api/v1/nodes/${name}`);
  const ready = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false;
  // Until the controller manager has seen that, nothing is scheduled onto it.
  return ready && (spec.taints ?? []).length === 0;
}
