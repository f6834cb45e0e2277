import { parseArgs } from 'node:util';
import { createKubeClient } from '@kuik/kube';
import { Checklist } from '../checklist.ts';
import { tellStory } from '../story/tell-story.ts';
import { clusterWorld, leave, type ClusterOptions } from './cluster-world.ts';
import { CLUSTER_STORY } from './story.ts';

// Tells the cluster's story on the cluster that KUBECONFIG names, where the chart is installed:
//   KUBECONFIG=... node e2e/src/cluster/run.ts [--image docker.io/library/busybox:1.36] [--proxy localhost:7439] [--patience 180]
const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    proxy: { type: 'string' },
    namespace: { type: 'string' },
    patience: { type: 'string' },
  },
});
const kubeconfig = process.env['KUBECONFIG'];
if (kubeconfig === undefined || kubeconfig === '') {
  console.error('KUBECONFIG is not set: name the kubeconfig of a cluster where kube-image-keeper is installed');
  process.exitCode = 2;
} else process.exitCode = (await tell(kubeconfig)) ? 0 : 1;

async function tell(file: string): Promise<boolean> {
  const options: ClusterOptions = {
    ...(values.image === undefined ? {} : { image: values.image }),
    ...(values.proxy === undefined ? {} : { proxyPrefix: values.proxy }),
    ...(values.namespace === undefined ? {} : { namespace: values.namespace }),
    ...(values.patience === undefined ? {} : { patienceMs: Number(values.patience) * 1000 }),
  };
  const kube = createKubeClient({ kubeconfig: file, userAgent: 'kuik-e2e' });
  const world = clusterWorld(kube, options);
  const list = new Checklist({
    isTTY: process.stdout.isTTY,
    columns: process.stdout.columns ?? 100,
    write: (text) => process.stdout.write(text),
  });
  try {
    return await tellStory(CLUSTER_STORY, world, list);
  } finally {
    await leave(world).catch((error: unknown) => list.line(`namespace ${world.namespace} is left: ${String(error)}`));
    await kube.close();
  }
}
