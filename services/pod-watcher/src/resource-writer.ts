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
import {
  CACHED_IMAGES,
  isKubeError,
  type KubeClient,
  type Leadership,
  orAbsent,
  REPOSITORIES,
  type Resource,
} from '@kuik/kube';
import type { ClusterView } from './cluster-view.ts';
import type { Description } from './holders-only.ts';
import { imageIdentity, repositoryIdentity } from './identity.ts';
import { keptObject } from './kept-object.ts';
import { RecentUids } from './recent-uids.ts';
import type { RepositorySummary } from './repository-summary.ts';
import { imageTraces, repositoryTraces, type V1Traces } from './v1-traces.ts';

type Managed = Pick<Reference, 'host' | 'path'>;

const API_VERSION = `${GROUP}/${VERSION}`;

/** How far behind a watch may be for an object of ours to be still a fresh one. */
const FRESH_MS = 60_000;

/**
 * The only place that writes resources: each write asks for leadership first, and what it returned is in the view before the next
 * decision. A status apply that met an object made anew under the same name is withdrawn at once (the API server cannot refuse it).
 */
export class ResourceWriter {
  readonly #kube: KubeClient;
  readonly #leadership: Pick<Leadership, 'assertLeader'>;
  readonly #view: ClusterView;
  readonly #made = new RecentUids(FRESH_MS);

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
    const { found, made } = await this.#createOrGet<Repository>(REPOSITORIES, name, object);
    if (made) this.#made.add(found.metadata.uid);
    this.#putRepository(found);
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
    const { found, made } = await this.#createOrGet<CachedImage>(CACHED_IMAGES, name, object);
    if (made) this.#made.add(found.metadata.uid);
    this.#putImage(found);
    return imageIdentity(found) === sourceImage ? found : undefined;
  }

  /** Whether this process created the object, less than a minute ago. */
  madeLately({ metadata }: CachedImage | Repository): boolean {
    return this.#made.has(metadata.uid);
  }

  /**
   * Takes a CachedImage back that `makesWay`: this very version of it. Conflicts when anybody wrote it since; a finalizer that is off by
   * then is put on again by `adoptImage`.
   */
  async withdrawImage(image: CachedImage): Promise<void> {
    const { name, uid } = image.metadata;
    try {
      const freed = await this.#patch(CACHED_IMAGES, image, { finalizers: null }, undefined);
      this.#leadership.assertLeader();
      const { resourceVersion } = freed.metadata;
      await this.#kube.delete(CACHED_IMAGES, { name }, { uid, resourceVersion });
    } catch (error) {
      // Gone already, and a watch that is behind showed it once more.
      if (!isKubeError(error, 'not-found')) throw error;
    }
    this.#view.removeImage(image);
  }

  /**
   * Makes an object that somebody else created ours: see `adoption`, and `imageTraces` for what kuik v1 left. Without a reference (of
   * what is never cached) the latter alone. Writes nothing when nothing is missing.
   */
  async adoptImage(image: CachedImage, reference: Reference | undefined): Promise<void> {
    if (image.metadata.deletionTimestamp !== undefined) return;
    const cleared = await this.#clearStatus(CACHED_IMAGES, image, imageTraces(image));
    const change = reference === undefined ? undefined : adoption(cleared, reference);
    await this.#patch(CACHED_IMAGES, cleared, change, imageTraces(cleared));
  }

  /** Takes the wish for a copy off again, once it was answered. */
  async dropForceWish(image: CachedImage): Promise<void> {
    const annotations = { [FORCE_UPDATE_ANNOTATION]: null, [FORCE_UPDATE_ANNOTATION_V1]: null };
    await this.#patch(CACHED_IMAGES, image, { annotations }, undefined);
  }

  /** Makes a Repository that somebody else created ours: what kuik v1 left there goes. Returns it as it is then. */
  async adoptRepository(repository: Repository): Promise<Repository> {
    if (repository.metadata.deletionTimestamp === undefined) {
      const cleared = await this.#clearStatus(REPOSITORIES, repository, repositoryTraces(repository));
      return this.#patch(REPOSITORIES, cleared, withoutV1Finalizers(cleared), repositoryTraces(cleared));
    }
    // Nobody else would ever take v1's finalizer off.
    return this.#patch(REPOSITORIES, repository, withoutV1Finalizers(repository), undefined);
  }

  /** This very version of it: conflicts when anybody wrote it since. */
  async deleteRepository(repository: Repository): Promise<void> {
    const { name, uid, resourceVersion } = repository.metadata;
    this.#leadership.assertLeader();
    // It may be gone already, and a watch that is behind showed it once more: no error.
    await this.#kube.delete(REPOSITORIES, { name }, { uid, resourceVersion });
    this.#view.removeRepository(repository);
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
        this.#putImage(written);
        return written;
      }
      this.#leadership.assertLeader();
      this.#putImage(await this.#kube.apply<CachedImage>(CACHED_IMAGES, { name }, { status: {} }, options));
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
    const applying = this.#kube.apply<Repository>(REPOSITORIES, { name }, { status: summary }, options);
    const written = await orAbsent(applying);
    if (written !== undefined) this.#putRepository(written);
  }

  /** The status goes first: the API server checks all of an object, and v1 wrote phases there that are none today. */
  async #clearStatus<T extends CachedImage | Repository>(
    resource: Resource,
    object: T,
    traces: V1Traces | undefined,
  ): Promise<T> {
    if (traces?.status === undefined) return object;
    const { name, resourceVersion } = object.metadata;
    this.#leadership.assertLeader();
    const patch = { metadata: { resourceVersion }, status: traces.status };
    return this.#kube.mergePatch<T>(resource, { name }, patch, { subresource: 'status' });
  }

  /** Changes metadata, and withdraws what is v1's, of this version of an object; returns what it is then. */
  async #patch<T extends CachedImage | Repository>(
    resource: Resource,
    object: T,
    change: object | undefined,
    traces: V1Traces | undefined,
  ): Promise<T> {
    if (change === undefined && traces === undefined) return object;
    const { name, resourceVersion } = object.metadata;
    this.#leadership.assertLeader();
    const metadata = { ...change, ...traces?.object.metadata, resourceVersion };
    const spec = traces?.object.spec === undefined ? {} : { spec: traces.object.spec };
    const written = await this.#kube.mergePatch<T>(resource, { name }, { metadata, ...spec });
    if (resource === CACHED_IMAGES) this.#putImage(written as CachedImage);
    else this.#putRepository(written as Repository);
    return written;
  }

  #putImage(image: CachedImage): void {
    this.#view.putImage(keptObject(image, CACHED_IMAGES));
  }

  #putRepository(repository: Repository): void {
    this.#view.putRepository(keptObject(repository, REPOSITORIES));
  }

  async #createOrGet<T extends CachedImage | Repository>(
    resource: Resource,
    name: string,
    object: object,
  ): Promise<{ readonly found: T; readonly made: boolean }> {
    this.#leadership.assertLeader();
    try {
      return { found: await this.#kube.create<T>(resource, object), made: true };
    } catch (error) {
      if (!isKubeError(error, 'already-exists')) throw error;
      return { found: await this.#kube.get<T>(resource, { name }), made: false };
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

/** The finalizers of an object without kuik v1's; undefined when it has none of those. */
function withoutV1Finalizers({ metadata: { finalizers = [] } }: Repository): { finalizers: string[] } | undefined {
  return finalizers.some(isV1) ? { finalizers: finalizers.filter((finalizer) => !isV1(finalizer)) } : undefined;
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
