import { digestOf } from '@kuik/image';
import { referrersIndex } from '@kuik/registry';
import { makeArtifact, type MadeImage } from '@kuik/testbed';

/** What refers to an image, with the list of it as its root: the fallback tag of the distribution spec names that. */
export async function makeSignature(image: MadeImage): Promise<MadeImage> {
  const artifact = await makeArtifact({ seed: 'signature', subject: image.root });
  const bytes = referrersIndex([artifact.root]);
  const root = {
    mediaType: 'application/vnd.oci.image.index.v1+json',
    digest: digestOf(bytes),
    size: bytes.length,
    bytes,
  };
  return { ...artifact, root, digest: root.digest, manifests: [...artifact.manifests, root] };
}
