import { expect, it } from '@jest/globals';
import { createMetrics } from '@kuik/runtime';
import { ClusterView } from './cluster-view.ts';
import { reportGauges, reportMetrics } from './report-metrics.ts';
import {
  at,
  cachedImage,
  cacheStanza,
  DAY,
  deciderOf,
  IMAGE,
  NOW,
  podView,
  removalStanza,
  upstreamStanza,
} from './testing/objects.ts';

const metricsOf = () => createMetrics({ service: 'pod-watcher', defaults: false });
const seen = (text: string, name: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith(name))
    .map((line) => line.slice(name.length))
    .sort();

it('shows who holds images, what is on its way out, what upstream lost, and how old the word of each watch is', async () => {
  const view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 0 }, () => NOW);
  const metrics = metricsOf();
  const watch = { objects: 3, state: 'listed', contactAgeMs: 1500, synced: true } as const;
  reportGauges(metrics, {
    view,
    watches: {
      state: () => [
        { ...watch, resource: 'pods' },
        { ...watch, resource: 'jobs', objects: 0, state: 'pending', contactAgeMs: Infinity, synced: false },
      ],
    },
    sparedOwners: { current: () => ({ data: { a: '', b: '' }, resourceVersion: '1' }) },
    now: () => NOW,
  });
  const put = (name: string, status: object): void => {
    const unused = { usedBy: { forUid: name, count: 0 } };
    const metadata = { name, uid: name };
    view.putImage(
      cachedImage({ metadata, spec: { sourceImage: `quay.io/a/${name}:1` }, status: { ...unused, ...status } }),
    );
  };
  put('waiting', { phase: 'Ready', expiresAt: at(DAY) });
  put('due', { phase: 'Ready', expiresAt: at(-DAY) });
  put('condemned', { phase: 'Expiring', expiresAt: at(-DAY), removal: removalStanza({ forUid: 'condemned' }) });
  const upstream = upstreamStanza({ forUid: 'orphan', state: 'Deleted' });
  put('orphan', {
    phase: 'Ready',
    cache: cacheStanza({ forUid: 'orphan' }),
    upstream,
    usedBy: { forUid: 'orphan', count: 1 },
  });
  view.putHolder(podView());
  view.putHolder(
    podView({
      name: 'api',
      uid: 'pod-2',
      images: ['c:a', 'c:b'].map((key, at) => ({ key, image: `quay.io/a/${at}:1` })),
    }),
  );
  const { phase: _phase, node: _node, ...template } = podView();
  view.putHolder({
    ...template,
    source: 'deployments',
    kind: 'Deployment',
    uid: 'd',
    images: [{ key: 'c:app', image: IMAGE }],
  });

  const text = await metrics.render();
  expect(seen(text, 'kuik_image_holders')).toEqual(['{kind="Deployment"} 1', '{kind="Pod"} 3']);
  expect(seen(text, 'kuik_expiry_queue')).toEqual(['{state="condemned"} 1', '{state="due"} 1', '{state="waiting"} 1']);
  expect(seen(text, 'kuik_cached_images')).toEqual(
    expect.arrayContaining(['{phase="Ready"} 3', '{phase="Expiring"} 1', '{phase="Pulling"} 0']),
  );
  expect(seen(text, 'kuik_orphaned_images')).toEqual([' 1']);
  expect(seen(text, 'kuik_spared_owners')).toEqual([' 2']);
  expect(seen(text, 'kuik_watch_objects')).toEqual(['{resource="jobs"} 0', '{resource="pods"} 3']);
  expect(seen(text, 'kuik_watch_known')).toEqual(['{resource="jobs"} 0', '{resource="pods"} 1']);
  // Of a watch that never heard anything there is no age.
  expect(seen(text, 'kuik_watch_last_contact_seconds')).toEqual(['{resource="pods"} 1.5']);
});

it('counts decisions, repairs and failures under their reasons', async () => {
  const metrics = metricsOf();
  const reports = reportMetrics(metrics);
  reports.step({ do: 'copy', reason: 'NotCached' });
  reports.statesRepaired(4);
  reports.loopFailed('images', Object.assign(new Error('x'), { code: 'conflict' }));
  reports.loopFailed('images', 'no error at all');
  reports.reflector({ kind: 'error', resource: 'pods', error: new Error('x') } as never);
  const text = await metrics.render();
  expect(seen(text, 'kuik_intents_total')).toEqual(['{step="copy",reason="NotCached"} 1']);
  expect(seen(text, 'kuik_resync_repairs_total')).toEqual(['{what="image-state"} 4']);
  expect(seen(text, 'kuik_loop_failures_total')).toEqual([
    '{loop="images",code="conflict"} 1',
    '{loop="images",code="unexpected"} 1',
    '{loop="watch-pods",code="unexpected"} 1',
  ]);
});
