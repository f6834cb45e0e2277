import type { CachedImage } from '@kuik/contracts';
import { formatReference, parseReference } from '@kuik/image';
import { until, type ApiClient } from '@kuik/testbed';

const PATH = '/apis/kuik.enix.io/v1alpha1/cachedimages';

/** All CachedImages by canonical reference. */
export async function cachedImages(api: ApiClient): Promise<Map<string, CachedImage>> {
  const items = await api.list<CachedImage>(PATH);
  return new Map(items.map((image) => [formatReference(parseReference(image.spec.sourceImage)), image]));
}

/** Waits until every reference is Ready; throws with what is missing and why. */
export async function untilReady(
  api: ApiClient,
  references: readonly string[],
  progress: (waitingFor: string) => void,
  timeoutMs = 30_000,
): Promise<CachedImage[]> {
  return until(
    async () => {
      const seen = await cachedImages(api);
      const missing = references.filter((reference) => seen.get(reference)?.status?.phase !== 'Ready');
      progress(`${missing.length} of ${references.length} images to be cached`);
      if (missing.length > 0)
        throw new Error(missing.map((reference) => `${reference}: ${describe(seen.get(reference))}`).join('; '));
      return references.map((reference) => seen.get(reference)!);
    },
    { timeoutMs, everyMs: 50, what: `${references.length} images to be Ready` },
  );
}

function describe(image: CachedImage | undefined): string {
  if (image === undefined) return 'no CachedImage';
  return `${image.status?.phase ?? 'no phase'}${image.status?.cache?.error === undefined ? '' : `: ${image.status.cache.error.message}`}`;
}
