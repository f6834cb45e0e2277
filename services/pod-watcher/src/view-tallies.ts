import type { ClusterView } from './cluster-view.ts';
import { Tally } from './tally.ts';

type ImageLabels = { readonly status: string; readonly cached: string };

/** kuik v1's gauges over images, repositories and containers, kept true change by change. */
export function talliesOf(view: ClusterView) {
  const images = new Tally<ImageLabels & { readonly expiring: string }>((image) =>
    view.images.of(image).map(({ status }) => ({
      labels: { ...labelsOf(status), expiring: String(status?.expiresAt !== undefined) },
      weight: 1,
    })),
  );
  const containers = new Tally<ImageLabels>((image) => {
    const [object] = view.images.of(image);
    const weight = object === undefined ? 0 : regularContainers(view, image);
    return weight === 0 ? [] : [{ labels: labelsOf(object?.status), weight }];
  });
  const repositories = new Tally((repository) =>
    view.repositories.of(repository).map(({ status }) => ({ labels: { status: status?.phase ?? '' }, weight: 1 })),
  );
  view.listen({
    imageChanged: (image) => {
      images.changed(image);
      containers.changed(image);
    },
    repositoryChanged: (repository) => repositories.changed(repository),
    relisted: () => {
      const all = view.allImages();
      images.relisted(all);
      containers.relisted(all);
      repositories.relisted(view.repositories.identities());
    },
  });
  return { images, containers, repositories };
}

function labelsOf(status: { readonly phase?: string | undefined; readonly isCached?: boolean | undefined } = {}) {
  return { status: status.phase ?? 'Waiting', cached: String(status.isCached === true) };
}

/** Neither init nor ephemeral containers, nor image volumes: as v1 counted. */
function regularContainers(view: ClusterView, image: string): number {
  let count = 0;
  for (const { kind, namespace, name } of view.usage.holdersOf(image).values()) {
    if (kind !== 'Pod') continue;
    for (const used of view.usage.pod(namespace, name)?.images.used ?? []) {
      if (used.image === image && used.key.startsWith('c:')) count += 1;
    }
  }
  return count;
}
