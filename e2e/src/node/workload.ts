import { until } from '@kuik/testbed';
import { endsAtOnce, podsLabelled, untilGone, type PodPlace, type RunPod } from './node-pods.ts';

/** A Deployment with one pod. */
export interface Workload {
  /** Its pod, as soon as there is one. */
  pod(): Promise<RunPod>;
  /** Takes it away and waits until its pod is gone. */
  stop(): Promise<void>;
}

/** Creates a Deployment of one pod that waits to be told to end; its pod has the label `app=<name>`. */
export async function runWorkload(place: PodPlace, name: string, image: string, spec: object = {}): Promise<Workload> {
  const { api, namespace = 'default' } = place;
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
  await api.create(path, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: endsAtOnce({ containers: [{ name: 'app', image }], ...spec }),
      },
    },
  });
  return {
    pod: () => until(async () => (await podsLabelled(place, name))[0], { what: `a pod of ${name}`, everyMs: 50 }),
    stop: async () => {
      const change = { spec: { replicas: 0 } };
      await api.request('PATCH', `${path}/${name}`, change, { contentType: 'application/merge-patch+json' });
      await untilGone(place, name);
      await api.delete(`${path}/${name}`);
    },
  };
}
