import { FIELD_MANAGERS, GROUP, VERSION, type CachedImage, type UpstreamStanza } from '@kuik/contracts';
import { CACHED_IMAGES, isKubeError, type KubeClient } from '@kuik/kube';

/**
 * Writes the monitor's stanza. The API server does not check a uid here: an object that was made anew under the same name gets the
 * stanza withdrawn again. An object that is gone is fine. Throws KubeError.
 */
export async function recordUpstream(
  kube: Pick<KubeClient, 'apply'>,
  image: CachedImage,
  stanza: UpstreamStanza,
  signal: AbortSignal,
): Promise<void> {
  const { name, uid } = image.metadata;
  const apply = (status: object): Promise<CachedImage> =>
    kube.apply<CachedImage>(
      CACHED_IMAGES,
      { name },
      { apiVersion: `${GROUP}/${VERSION}`, kind: 'CachedImage', metadata: { name }, status },
      { fieldManager: FIELD_MANAGERS.upstream, subresource: 'status', signal },
    );
  try {
    const written = await apply({ upstream: stanza });
    if (written.metadata.uid !== uid) await apply({});
  } catch (error) {
    if (!isKubeError(error, 'not-found')) throw error;
  }
}
