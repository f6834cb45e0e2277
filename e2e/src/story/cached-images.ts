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

interface PrintedTable {
  columnDefinitions: { name: string; priority: number }[];
  rows: { cells: (string | number | boolean | null)[] }[];
}

/** What `kubectl get cachedimages` prints, column by column (those that it shows without `-o wide`): rendered by the API server. */
export async function printedCachedImages(
  api: ApiClient,
): Promise<{ columns: string[]; rows: Record<string, string>[] }> {
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
  const table = await api.request<PrintedTable>('GET', PATH, undefined, { accept });
  const shown = table.columnDefinitions.flatMap(({ name, priority }, at) => (priority === 0 ? [{ name, at }] : []));
  const rows = table.rows.map(({ cells }) =>
    Object.fromEntries(shown.map(({ name, at }) => [name, String(cells[at] ?? '')])),
  );
  return { columns: shown.map(({ name }) => name), rows };
}

function describe(image: CachedImage | undefined): string {
  if (image === undefined) return 'no CachedImage';
  return `${image.status?.phase ?? 'no phase'}${image.status?.cache?.error === undefined ? '' : `: ${image.status.cache.error.message}`}`;
}
