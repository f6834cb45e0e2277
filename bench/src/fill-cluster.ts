import { type CachedImage, FIELD_MANAGERS, GROUP, VERSION } from '@kuik/contracts';
import { cacheTag, parseReference } from '@kuik/image';
import type { RestartBed } from './restart-bed.ts';
import { runningPod } from './running-pod.ts';

const IMAGES_PATH = `/apis/${GROUP}/${VERSION}/cachedimages`;
const AT_ONCE = 16;

/** Creates pods `from`..`to`, running, whose two containers use `images` images between them. */
export function addPods({ controlPlane, proxyPrefix }: RestartBed, from: number, to: number, images: number) {
  const reference = (index: number): string => `registry.example.test/team-${index % 20}/app-${index}:1.${index % 7}`;
  return atOnce(from, to, async (index) => {
    const used = [reference(index % images), reference((index * 7 + 3) % images)] as const;
    const { object, status } = runningPod(`pod-${index}`, used, proxyPrefix);
    await controlPlane.api.create('/api/v1/namespaces/default/pods', object);
    await controlPlane.api.request('PATCH', `/api/v1/namespaces/default/pods/pod-${index}/status`, { status }, MERGE);
  });
}

const MERGE = { contentType: 'application/merge-patch+json' };

/** Says of every CachedImage what image-copier says after a copy. Returns how many there are. */
export async function markCopied({ controlPlane }: RestartBed): Promise<number> {
  const images = await controlPlane.api.list<CachedImage>(IMAGES_PATH);
  await atOnce(0, images.length, async (index) => {
    const { metadata, spec, status } = images[index]!;
    if (status?.cache !== undefined) return;
    const cache = {
      forUid: metadata.uid,
      digest: `sha256:${index.toString(16).padStart(64, '0')}`,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      tag: cacheTag(parseReference(spec.sourceImage)),
      platforms: ['linux/amd64', 'linux/arm64'],
      bytes: 31_000_000 + index,
      blobs: 9,
      sharedBlobs: 2,
      copiedAt: new Date().toISOString(),
    };
    const object = {
      apiVersion: `${GROUP}/${VERSION}`,
      kind: 'CachedImage',
      metadata: { name: metadata.name },
      status: { cache },
    };
    await controlPlane.api.apply(object, { fieldManager: FIELD_MANAGERS.cache, subresource: 'status' });
  });
  return images.length;
}

/** How many images are in each phase. */
export async function phases({ controlPlane }: RestartBed): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status } of await controlPlane.api.list<CachedImage>(IMAGES_PATH)) {
    const phase = status?.phase ?? '-';
    counts[phase] = (counts[phase] ?? 0) + 1;
  }
  return counts;
}

async function atOnce(from: number, to: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = from;
  const worker = async (): Promise<void> => {
    while (next < to) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
