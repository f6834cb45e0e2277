import { isRecord } from './json-object.ts';

/** One place of a pod that names an image. */
export interface ImageSlot {
  /** Key in the annotation: `c:`, `i:`, `e:` or `v:` and the name. */
  readonly key: string;
  /** JSON pointer of the image. */
  readonly path: string;
  readonly image: string;
  readonly pullPolicy: string | undefined;
}

/** What names images in a pod's spec. */
export type ImageKind = 'containers' | 'initContainers' | 'ephemeralContainers' | 'volumes';

/** All of them. */
export const ALL_KINDS: readonly ImageKind[] = ['containers', 'initContainers', 'ephemeralContainers', 'volumes'];

/** What a key begins with. */
export const KEY_PREFIXES: Readonly<Record<ImageKind, string>> = {
  containers: 'c:',
  initContainers: 'i:',
  ephemeralContainers: 'e:',
  volumes: 'v:',
};

/** Every image of these kinds, in the pod's order. What has not the shape of a container or image volume is passed over. */
export function imageSlots(spec: Readonly<Record<string, unknown>>, kinds: readonly ImageKind[]): ImageSlot[] {
  const slots: ImageSlot[] = [];
  for (const kind of kinds) {
    const items = spec[kind];
    if (!Array.isArray(items)) continue;
    for (let index = 0; index < items.length; index++) {
      const slot = slotOf(kind, index, items[index] as unknown);
      if (slot !== undefined) slots.push(slot);
    }
  }
  return slots;
}

/** Names of the entries of one kind. */
export function namesOf(spec: Readonly<Record<string, unknown>>, kind: ImageKind): Set<string> {
  const items: unknown[] = Array.isArray(spec[kind]) ? spec[kind] : [];
  return new Set(items.flatMap((item) => (isRecord(item) && typeof item['name'] === 'string' ? [item['name']] : [])));
}

function slotOf(kind: ImageKind, index: number, item: unknown): ImageSlot | undefined {
  if (!isRecord(item) || typeof item['name'] !== 'string') return undefined;
  const volume = kind === 'volumes';
  const source = volume ? item['image'] : item;
  if (!isRecord(source)) return undefined;
  const image = volume ? source['reference'] : source['image'];
  const policy = volume ? source['pullPolicy'] : source['imagePullPolicy'];
  // No image at all is the API server's to refuse (an image volume may get its image from elsewhere later).
  if (typeof image !== 'string' || image === '') return undefined;
  return {
    key: KEY_PREFIXES[kind] + item['name'],
    path: `/spec/${kind}/${index}${volume ? '/image/reference' : '/image'}`,
    image,
    pullPolicy: typeof policy === 'string' ? policy : undefined,
  };
}
