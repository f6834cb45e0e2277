import { makeImage, type KubeObject } from '@kuik/testbed';
import type { LocalParts } from '../stack/local-parts.ts';
import type { LocalStack } from '../stack/local-stack.ts';
import { identityOf, startReplica } from '../stack/start-replicas.ts';
import { HOST } from '../story/world.ts';
import { untilRuns, untilTold, type NodeWorld, type PodPlace } from './node-pods.ts';
import { runWorkload } from './workload.ts';

const NAME = 'team/app';
const USER = { username: 'team', password: 'of-team' };
/** A private image, runnable. */
export const PRIVATE_IMAGE = `${HOST}/${NAME}:1`;
/** Another one, which nobody here may have: it is never cached. */
export const OTHERS_IMAGE = `${HOST}/others/app:1`;

/** Two namespaces on a real node whose proxy enforces: one with a credential of the registry, one without. */
export interface PrivateScene {
  readonly entitled: PodPlace;
  readonly neighbour: PodPlace;
  /** Lets a workload's pod run and takes it away again, after `meanwhile`: with the last pod its pull secret is out of use. */
  run(place: PodPlace, name: string, meanwhile?: () => Promise<unknown>): Promise<void>;
  /** Kubelet's first word of what the proxy refused the pod's image with. */
  refusal(place: PodPlace, name: string, image?: string): Promise<string>;
  stop(): Promise<void>;
}

/** Puts a proxy that enforces in the place of the stack's own, the image upstream, and the namespaces there. */
export async function privateScene(world: LocalStack & NodeWorld, parts: LocalParts): Promise<PrivateScene> {
  const { api, controlPlane } = world;
  const image = await makeImage({ seed: 'node/private', runnable: true, layers: [4096] });
  await Promise.all([NAME, 'others/app'].map((name) => world.push(HOST, name, ['1'], image)));
  await world.faults.host(HOST).auth({ scheme: 'bearer', users: [{ ...USER, repositories: [NAME] }] });
  await Promise.all(['entitled', 'neighbour'].map((name) => controlPlane.namespace(name)));
  const auths = { [HOST]: USER };
  await api.create<KubeObject>('/api/v1/namespaces/entitled/secrets', {
    metadata: { name: 'registry' },
    type: 'kubernetes.io/dockerconfigjson',
    stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
  });
  await world.services['node-proxy'][0]!.stop();
  const enforcing = { ...parts, environment: { KUIK_PRIVATE_IMAGES_MODE: 'enforce' } };
  const proxy = await startReplica(await identityOf('node-proxy', parts), enforcing, { name: 'node-proxy-enforce' });
  const [entitled, neighbour] = [
    { api, namespace: 'entitled' },
    { api, namespace: 'neighbour' },
  ] as const;
  const leaving: Promise<void>[] = [];
  const begin = (place: PodPlace, name: string, image = PRIVATE_IMAGE) =>
    runWorkload(place, name, image, place === entitled ? { imagePullSecrets: [{ name: 'registry' }] } : {});
  return {
    entitled,
    neighbour,
    async run(place, name, meanwhile) {
      const workload = await begin(place, name);
      await untilRuns(place, name);
      await meanwhile?.();
      await workload.stop();
    },
    async refusal(place, name, image) {
      const workload = await begin(place, name, image);
      // Kubelet may have tried before its pull secret was there.
      const told = await untilTold(place, (await workload.pod()).metadata.name, 'Failed', /KUIK-ACC-(403|503)/);
      // It uses nothing that others wait for.
      leaving.push(workload.stop());
      return told;
    },
    stop: async () => {
      await Promise.all(leaving);
      await proxy.stop();
    },
  };
}
