import type { MadeImage } from './image.ts';
import { tarOf } from './tar.ts';

/** A made image as one tar in OCI's image layout (OCI image spec, image-layout.md), under the name that whoever reads it shall know it by. */
export function ociArchive(image: MadeImage, name: string): Buffer {
  const blob = (digest: string, content: Buffer): { name: string; content: Buffer } => ({
    name: `blobs/${digest.replace(':', '/')}`,
    content,
  });
  const { mediaType, digest, size } = image.root;
  const annotations = { 'io.containerd.image.name': name };
  const index = { schemaVersion: 2, manifests: [{ mediaType, digest, size, annotations }] };
  return tarOf([
    { name: 'oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: 'index.json', content: Buffer.from(JSON.stringify(index)) },
    ...image.manifests.map((manifest) => blob(manifest.digest, manifest.bytes)),
    ...image.blobs.map((each) => blob(each.digest, Buffer.concat([...each.open()]))),
  ]);
}
