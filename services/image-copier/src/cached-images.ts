import { FIELD_MANAGERS, GROUP, VERSION, type CachedImage, type CacheStanza } from '@kuik/contracts';
import { CACHED_IMAGES, isKubeError, type KubeClient, orAbsent } from '@kuik/kube';
import type { CopyParts } from './copy-loop.ts';

/** Reading a CachedImage and writing our stanza of its status; gone is not an error. */
export function cachedImages(
  kube: Pick<KubeClient, 'get' | 'apply'>,
): Pick<CopyParts, 'read' | 'write' | 'writeUnchanged' | 'refusedForGood'> {
  const write = (metadata: { name: string; resourceVersion?: string }, stanza: CacheStanza | undefined) => {
    const status = stanza === undefined ? {} : { cache: stanza };
    const patch = { apiVersion: `${GROUP}/${VERSION}`, kind: CACHED_IMAGES.kind, metadata, status };
    const options = { fieldManager: FIELD_MANAGERS.cache, subresource: 'status' } as const;
    return orAbsent(kube.apply<CachedImage>(CACHED_IMAGES, { name: metadata.name }, patch, options));
  };
  return {
    refusedForGood: (error) => isKubeError(error, 'invalid'),
    read: (name) => orAbsent(kube.get<CachedImage>(CACHED_IMAGES, { name })),
    write: (name, stanza) => write({ name }, stanza),
    writeUnchanged: async ({ metadata: { name, resourceVersion } }, stanza) => {
      try {
        return await write({ name, resourceVersion }, stanza);
      } catch (error) {
        if (isKubeError(error, 'conflict')) return undefined;
        throw error;
      }
    },
  };
}
