import { FIELD_MANAGERS, GROUP, VERSION, type CachedImage, type RemovalStanza } from '@kuik/contracts';
import { CACHED_IMAGES, type KubeClient } from '@kuik/kube';

/**
 * Writes (or with undefined withdraws) gc's stanza, with the resourceVersion of `image`: what was decided on an older state is refused
 * with KubeError `conflict`. Returns the object as it is then.
 */
export async function writeRemoval(
  kube: Pick<KubeClient, 'apply'>,
  image: CachedImage,
  stanza: Omit<RemovalStanza, 'forUid'> | undefined,
  signal: AbortSignal,
): Promise<CachedImage> {
  const { name, uid, resourceVersion } = image.metadata;
  const status = stanza === undefined ? {} : { removal: { forUid: uid, ...stanza } };
  const patch = {
    apiVersion: `${GROUP}/${VERSION}`,
    kind: 'CachedImage',
    metadata: { name, resourceVersion },
    status,
  };
  return kube.apply<CachedImage>(CACHED_IMAGES, { name }, patch, {
    fieldManager: FIELD_MANAGERS.removal,
    subresource: 'status',
    signal,
  });
}
