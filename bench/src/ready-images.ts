import type { CachedImage } from '@kuik/contracts';
import { CACHED_IMAGES, createKubeClient, createReflector, type Reflector } from '@kuik/kube';
import { until } from '@kuik/testbed';

interface Seen {
  readonly sourceImage: string;
  /** The cache holds its bytes, as image-copier says. */
  readonly ready: boolean;
}

/** CachedImages as a watch shows them: looking costs the API server no list. */
export class ReadyImages {
  readonly #client;
  readonly #images: Reflector<Seen>;
  /** When an image was first seen ready, by its source (monotonic ms). */
  readonly #since = new Map<string, number>();

  constructor(kubeconfig: string) {
    this.#client = createKubeClient({ kubeconfig });
    this.#images = createReflector<CachedImage, Seen>({
      client: this.#client,
      resource: CACHED_IMAGES,
      project: ({ spec, status }) => ({ sourceImage: spec.sourceImage, ready: status?.cache?.digest !== undefined }),
      onChange: ({ now }) => {
        if (now?.ready === true && !this.#since.has(now.sourceImage)) {
          this.#since.set(now.sourceImage, performance.now());
        }
      },
    });
  }

  async start(): Promise<void> {
    this.#images.start();
    await this.#images.whenSynced(AbortSignal.timeout(10_000));
  }

  /** When each of these became ready, in the order of time (monotonic ms); waits until all are. */
  async all(references: readonly string[], timeoutMs: number): Promise<number[]> {
    const waiting = new Set(references);
    await until(
      () => {
        for (const reference of waiting) if (this.#since.has(reference)) waiting.delete(reference);
        return Promise.resolve(waiting.size === 0);
      },
      { what: `${references.length} images to be ready`, timeoutMs, everyMs: 20 },
    );
    return references.map((reference) => this.#since.get(reference)!).sort((a, b) => a - b);
  }

  async stop(): Promise<void> {
    await this.#images.stop();
    await this.#client.close();
  }
}
