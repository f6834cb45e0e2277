import {
  type CachedImage,
  FIELD_MANAGERS,
  FINALIZER,
  FINALIZERS_V1,
  FORCE_UPDATE_ANNOTATION,
  FORCE_UPDATE_ANNOTATION_V1,
  GROUP,
  type Repository,
  REPOSITORY_LABEL,
  REQUEST_ID_ANNOTATION,
  VERSION,
} from '@kuik/contracts';
import { formatReference, type Reference, repositoryLabel, repositoryName } from '@kuik/image';
import { CACHED_IMAGES, isKubeError, type KubeClient, type Leadership, REPOSITORIES, type Resource } from '@kuik/kube';
import type { ClusterView } from './cluster-view.ts';
import type { Description } from './holders-only.ts';
import { imageIdentity, repositoryIdentity } from './identity.ts';
import type { RepositorySummary } from './repository-summary.ts';

type Managed = Pick<Reference, 'host' | 'path'>;

const API_VERSION = `${GROUP}/${VERSION}`;

/**
 * The only place that writes resources: each write asks for leadership first, and what it returned is in the view before the next
 * decision. A status apply that met an object made anew under the same name is withdrawn at once (the API server cannot refuse it).
 */
export class ResourceWriter {
  readonly #kube: KubeClient;
  readonly #leadership: Pick<Leadership, 'assertLeader'>;
  readonly #view: ClusterView;

  constructor(kube: KubeClient, leadership: Pick<Leadership, 'assertLeader'>, view: ClusterView) {
    this.#kube = kube;
    this.#leadership = leadership;
    this.#view = view;
  }

  /** Creates the Repository, or finds who was faster. Undefined when the name belongs to another repository. */
  async createRepository(name: string, repository: Managed): Promise<Repository | undefined> {
    const spec = { name: repositoryName(repository) };
    const object = {
      apiVersion: API_VERSION,
      kind: 'Repository',
      metadata: { name, labels: labelsOf(repository) },
      spec,
    };
    const found = await this.#createOrGet<Repository>(REPOSITORIES, name, object);
    this.#view.putRepository(found);
    return repositoryIdentity(found) === spec.name ? found : undefined;
  }

  /**
   * Creates the CachedImage, or finds who was faster. Undefined when the name belongs to another image. `requestId` is of the admission
   * that it is made for, when one is known.
   */
  async createImage(name: string, reference: Reference, requestId?: string): Promise<CachedImage | undefined> {
    const sourceImage = formatReference(reference);
    const metadata = {
      name,
      labels: labelsOf(reference),
      finalizers: [FINALIZER],
      ...(requestId === undefined ? {} : { annotations: { [REQUEST_ID_ANNOTATION]: requestId } }),
    };
    const object = { apiVersion: API_VERSION, kind: 'CachedImage', metadata, spec: { sourceImage } };
    const found = await this.#createOrGet<CachedImage>(CACHED_IMAGES, name, object);
    this.#view.putImage(found);
    return imageIdentity(found) === sourceImage ? found : undefined;
  }

  /** Makes an object that somebody else created ours: see `adoption`. Writes nothing when nothing is missing. */
  async adoptImage(image: CachedImage, reference: Reference): Promise<void> {
    const patch = adoption(image, reference);
    if (patch === undefined) return;
    await this.#patchImage(image, patch);
  }

  /** Takes the wish for a copy off again, once it was answered. */
  async dropForceWish(image: CachedImage): Promise<void> {
    await this.#patchImage(image, {
      annotations: { [FORCE_UPDATE_ANNOTATION]: null, [FORCE_UPDATE_ANNOTATION_V1]: null },
    });
  }

  /** kuik v1's finalizer on a Repository: nobody else would ever take it off. */
  async freeRepository(repository: Repository): Promise<void> {
    const { name, resourceVersion, finalizers = [] } = repository.metadata;
    const kept = finalizers.filter((finalizer) => !isV1(finalizer));
    if (kept.length === finalizers.length) return;
    this.#leadership.assertLeader();
    const patch = { metadata: { resourceVersion, finalizers: kept } };
    this.#view.putRepository(await this.#kube.mergePatch<Repository>(REPOSITORIES, { name }, patch));
  }

  async deleteRepository({ metadata: { name, uid, resourceVersion } }: Repository): Promise<void> {
    this.#leadership.assertLeader();
    await this.#kube.delete(REPOSITORIES, { name }, { uid, resourceVersion });
  }

  /**
   * All that this service says of an image, in one apply: what is left out is withdrawn. Undefined when the object is gone, or is
   * another one by now.
   */
  async applyDescription(image: CachedImage, status: Description): Promise<CachedImage | undefined> {
    const { name, uid } = image.metadata;
    const options = { fieldManager: FIELD_MANAGERS.description, subresource: 'status' } as const;
    try {
      this.#leadership.assertLeader();
      const written = await this.#kube.apply<CachedImage>(CACHED_IMAGES, { name }, { status }, options);
      if (written.metadata.uid === uid) {
        this.#view.putImage(written);
        return written;
      }
      this.#leadership.assertLeader();
      this.#view.putImage(await this.#kube.apply<CachedImage>(CACHED_IMAGES, { name }, { status: {} }, options));
    } catch (error) {
      // Deleted a moment ago: the watch will say so.
      if (!isKubeError(error, 'not-found')) throw error;
    }
    return undefined;
  }

  async applyRepositorySummary(repository: Repository, summary: RepositorySummary): Promise<void> {
    this.#leadership.assertLeader();
    const { name } = repository.metadata;
    const options = { fieldManager: FIELD_MANAGERS.description, subresource: 'status' } as const;
    try {
      const written = await this.#kube.apply<Repository>(REPOSITORIES, { name }, { status: summary }, options);
      this.#view.putRepository(written);
    } catch (error) {
      if (!isKubeError(error, 'not-found')) throw error;
    }
  }

  async #patchImage({ metadata }: CachedImage, change: object): Promise<void> {
    this.#leadership.assertLeader();
    const patch = { metadata: { ...change, resourceVersion: metadata.resourceVersion } };
    this.#view.putImage(await this.#kube.mergePatch<CachedImage>(CACHED_IMAGES, { name: metadata.name }, patch));
  }

  async #createOrGet<T extends CachedImage | Repository>(resource: Resource, name: string, object: object): Promise<T> {
    this.#leadership.assertLeader();
    try {
      return await this.#kube.create<T>(resource, object);
    } catch (error) {
      if (!isKubeError(error, 'already-exists')) throw error;
      return this.#kube.get<T>(resource, { name });
    }
  }
}

/**
 * What has to change in an adopted image's metadata; undefined when nothing: our finalizer (kuik v1's goes), the label, and no Repository
 * as owner: Kubernetes deletes what a deleted owner leaves, and a Repository holds settings, not images. Objects being deleted are left
 * as they are.
 */
export function adoption(image: CachedImage, reference: Reference): object | undefined {
  const { finalizers = [], labels = {}, ownerReferences = [], deletionTimestamp } = image.metadata;
  if (deletionTimestamp !== undefined) return undefined;
  const wanted = labelsOf(reference);
  const patch = {
    ...(finalizers.includes(FINALIZER) && !finalizers.some(isV1)
      ? {}
      : { finalizers: [...finalizers.filter((known) => !isV1(known) && known !== FINALIZER), FINALIZER] }),
    ...(Object.entries(wanted).every(([key, value]) => labels[key] === value) ? {} : { labels: wanted }),
    ...(ownerReferences.some(isRepository)
      ? { ownerReferences: ownerReferences.filter((owner) => !isRepository(owner)) }
      : {}),
  };
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function isV1(finalizer: string): boolean {
  return (FINALIZERS_V1 as readonly string[]).includes(finalizer);
}

function labelsOf(repository: Managed): Record<string, string> {
  return { [REPOSITORY_LABEL]: repositoryLabel(repository) };
}

function isRepository({ apiVersion, kind }: { apiVersion: string; kind: string }): boolean {
  return kind === 'Repository' && apiVersion.startsWith(`${GROUP}/`);
}
