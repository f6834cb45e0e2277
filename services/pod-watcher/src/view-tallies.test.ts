import { describe, expect, it } from '@jest/globals';
import { createMetrics } from '@kuik/runtime';
import { ClusterView } from './cluster-view.ts';
import { holderKey } from './holder-view.ts';
import { reportControllerV1, reportGauges } from './report-metrics.ts';
import { at, cachedImage, deciderOf, IMAGE, NOW, podView, repository } from './testing/objects.ts';

describe("kuik v1's gauges", () => {
  const view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 0 }, () => NOW);
  const metrics = createMetrics({ service: 'pod-watcher', defaults: false });
  let leads = false;
  reportGauges(metrics, {
    view,
    watches: { state: () => [] },
    sparedOwners: { current: () => undefined },
    now: () => NOW,
  });
  reportControllerV1(metrics, { isLeader: () => leads }, '2.1.0');
  const shown = async () =>
    (await metrics.render())
      .split('\n')
      .filter((line) => /^kube_image_keeper_controller_(is_leader|.* [^0]$)/.test(line) && !line.includes('build_info'))
      .map((line) => line.replace('kube_image_keeper_controller_', ''))
      .sort();
  const put = (version: number, status: object) =>
    view.putImage(cachedImage({ metadata: { resourceVersion: String(version) }, status }));

  it('follow what changes', async () => {
    put(1, {});
    view.putRepository({ ...repository(), status: { phase: 'Pulling' } });
    // Two regular containers of one pod; what init containers and volumes use is not counted, as in v1.
    view.putHolder(podView({ images: ['c:a', 'c:b', 'i:setup', 'v:data'].map((key) => ({ key, image: IMAGE })) }));
    expect(await shown()).toEqual([
      'cached_images{status="Waiting",cached="false",expiring="false"} 1',
      'containers_with_cached_image{status="Waiting",cached="false"} 2',
      'is_leader 0',
      'repositories{status="Pulling"} 1',
      'up 1',
    ]);
    put(2, { phase: 'Ready', isCached: true });
    leads = true;
    expect(await shown()).toEqual([
      'cached_images{status="Ready",cached="true",expiring="false"} 1',
      'containers_with_cached_image{status="Ready",cached="true"} 2',
      'is_leader 1',
      'repositories{status="Pulling"} 1',
      'up 1',
    ]);
    view.removeHolder(holderKey(podView()));
    put(3, { phase: 'Ready', isCached: true, expiresAt: at(0) });
    expect((await shown()).slice(0, 2)).toEqual([
      'cached_images{status="Ready",cached="true",expiring="true"} 1',
      'is_leader 1',
    ]);
  });

  it('believe a full list', async () => {
    view.imagesListed([]);
    view.repositoriesListed([]);
    expect(await shown()).toEqual(['is_leader 1', 'up 1']);
  });

  it('name what runs', async () => {
    expect(await metrics.render()).toContain(
      `kube_image_keeper_controller_build_info{version="2.1.0",revision="",built="",goversion="${process.version}"`,
    );
  });
});
