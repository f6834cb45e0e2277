import type { KubeObject } from '@kuik/testbed';
import type { LocalParts } from '../stack/local-parts.ts';
import { imagesOf, pod, type Pod } from '../story/pods.ts';

const NAMESPACE = '/api/v1/namespaces/default';

/**
 * An operator as some are (cloudnative-pg, nifikop, OLM): it makes its pod itself, and one whose image is not the one that it wants is
 * deleted and made anew. Looks at its pod once in `everyMs`.
 */
export class Operator {
  readonly name: string;
  /** How often it has deleted its pod because of the image. */
  deletions = 0;
  readonly #api: LocalParts['controlPlane']['api'];
  readonly #image: string;
  readonly #owner: KubeObject;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  private constructor(api: LocalParts['controlPlane']['api'], owner: KubeObject, image: string) {
    this.#api = api;
    this.name = owner.metadata.name;
    this.#owner = owner;
    this.#image = image;
  }

  /** The operator of a new object of its own. */
  static async of(api: LocalParts['controlPlane']['api'], name: string, image: string): Promise<Operator> {
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
    return new Operator(api, await api.create(`${NAMESPACE}/configmaps`, object), image);
  }

  start(everyMs: number): void {
    const look = (): void => {
      this.#looking = this.#look().finally(() => {
        if (this.#timer !== undefined) this.#timer = setTimeout(look, everyMs);
      });
    };
    this.#timer = setTimeout(look, 0);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
  }

  get uid(): string {
    return this.#owner.metadata.uid!;
  }

  /** The image of its pod; undefined while it has none. */
  async image(): Promise<string | undefined> {
    const found = await this.#api.find<Pod>(this.#pod);
    return found === undefined ? undefined : imagesOf(found)[0]?.image;
  }

  /** A person deletes its pod; resolves with the uid that the next one will not have. */
  async deletePod(): Promise<void> {
    await this.#api.request('DELETE', this.#pod, { gracePeriodSeconds: 0 });
  }

  async #look(): Promise<void> {
    const image = await this.image();
    if (image === undefined) {
      const wanted = pod(this.name, [{ name: 'db', image: this.#image }]);
      const { uid, name } = this.#owner.metadata;
      const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name, uid, controller: true }];
      await this.#api.create(`${NAMESPACE}/pods`, { ...wanted, metadata: { ...wanted.metadata, ownerReferences } });
    } else if (image !== this.#image) {
      this.deletions += 1;
      await this.deletePod();
    }
  }

  get #pod(): string {
    return `${NAMESPACE}/pods/${this.name}`;
  }
}
