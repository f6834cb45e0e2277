import { type CachedImage, GROUP, VERSION } from '@kuik/contracts';
import { atOnce } from './at-once.ts';
import type { RestartBed } from './restart-bed.ts';
import { runningPod } from './running-pod.ts';
import { markCopied } from './stand-in-copier.ts';

const IMAGES_PATH = `/apis/${GROUP}/${VERSION}/cachedimages`;
const PODS_PATH = '/api/v1/namespaces/default/pods';
const MERGE = { contentType: 'application/merge-patch+json' };

/** Image number `index` of `images`, over and over; each has a repository of its own unless `repositories` says how many there are. */
export function imageNumbers(images: number, repositories = images): (index: number) => string {
  return (index) => {
    const number = index % images;
    const repository = number % repositories;
    const tag = repositories === images ? number % 7 : Math.floor(number / repositories);
    return `registry.example.test/team-${repository % 20}/app-${repository}:1.${tag}`;
  };
}

/** Creates pods `from`..`to`, running, whose two containers use images. */
export function addPods(bed: RestartBed, from: number, to: number, imageOf: (index: number) => string): Promise<void> {
  return atOnce(from, to, (index) => addPod(bed, `pod-${index}`, index, imageOf));
}

/** Creates one running pod that uses the images of pod number `index`. */
export async function addPod(
  { controlPlane: { api }, proxyPrefix }: RestartBed,
  name: string,
  index: number,
  imageOf: (index: number) => string,
): Promise<void> {
  const { object, status } = runningPod(name, [imageOf(index), imageOf(index * 7 + 3)], proxyPrefix);
  await api.create(PODS_PATH, object);
  await api.request('PATCH', `${PODS_PATH}/${name}/status`, { status }, MERGE);
}

/** The pod is gone at once, as when its kubelet has ended it. */
export async function removePod({ controlPlane: { api } }: RestartBed, name: string): Promise<void> {
  await api.request('DELETE', `${PODS_PATH}/${name}`, { gracePeriodSeconds: 0 });
}

/** Says of every CachedImage what image-copier says after a copy. Returns how many there are. */
export async function markAllCopied({ controlPlane: { api } }: RestartBed): Promise<number> {
  const images = await api.list<CachedImage>(IMAGES_PATH);
  await atOnce(0, images.length, async (index) => {
    if (images[index]!.status?.cache === undefined) await markCopied(api, images[index]!);
  });
  return images.length;
}

/** How many images are in each phase. */
export async function phases({ controlPlane: { api } }: RestartBed): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status } of await api.list<CachedImage>(IMAGES_PATH)) {
    const phase = status?.phase ?? '-';
    counts[phase] = (counts[phase] ?? 0) + 1;
  }
  return counts;
}
