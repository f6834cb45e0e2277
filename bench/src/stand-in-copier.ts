import { type CachedImage, FIELD_MANAGERS, GROUP, VERSION } from '@kuik/contracts';
import { cacheTag, parseReference } from '@kuik/image';
import { CACHED_IMAGES, createKubeClient, createReflector, type Reflector } from '@kuik/kube';
import type { ApiClient, OwnControlPlane } from '@kuik/testbed';

const LANES = 4;

/** Says of each new CachedImage what image-copier says after a copy, in the same one write, without copying. */
export class StandInCopier {
  readonly #client;
  readonly #images: Reflector<{ readonly copied: boolean }>;
  readonly #lanes = Array.from({ length: LANES }, () => Promise.resolve());
  #next = 0;

  constructor({ kubeconfig, api }: OwnControlPlane) {
    this.#client = createKubeClient({ kubeconfig });
    this.#images = createReflector<CachedImage, { readonly copied: boolean }>({
      client: this.#client,
      resource: CACHED_IMAGES,
      project: (image) => {
        const copied = image.status?.cache !== undefined;
        if (!copied) this.#later(() => markCopied(api, image));
        return { copied };
      },
    });
  }

  start(): void {
    this.#images.start();
  }

  /** How many images it knows, and how many of them are copied. */
  counts(): { images: number; copied: number } {
    const copied = [...this.#images.values()].filter((image) => image.copied).length;
    return { images: this.#images.size(), copied };
  }

  async stop(): Promise<void> {
    await this.#images.stop();
    await Promise.all(this.#lanes);
    await this.#client.close();
  }

  /** Some at once, as workers have some slots. */
  #later(work: () => Promise<void>): void {
    const lane = (this.#next += 1) % LANES;
    this.#lanes[lane] = this.#lanes[lane]!.then(work).catch(() => undefined);
  }
}

/** Applies the stanza of a copy of an image. */
export async function markCopied(api: ApiClient, { metadata, spec }: CachedImage): Promise<void> {
  const cache = {
    forUid: metadata.uid,
    digest: `sha256:${Buffer.from(metadata.name).toString('hex').slice(-64).padStart(64, '0')}`,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    tag: cacheTag(parseReference(spec.sourceImage)),
    platforms: ['linux/amd64', 'linux/arm64'],
    bytes: 31_000_000,
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
  await api.apply(object, { fieldManager: FIELD_MANAGERS.cache, subresource: 'status' });
}
