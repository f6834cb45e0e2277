import { PullBroken, pullImage, type Body, type WantedImage } from './pull-image.ts';

export interface PullRecord {
  readonly image: string;
  readonly ok: boolean;
  /** Empty when every byte came. */
  readonly why: string;
  /** Nobody could have served it: upstream was away at some moment of the pull, and no copy was known when it began. */
  readonly hopeless: boolean;
  readonly ms: number;
}

/** What is asked around a pull to judge it. */
export interface Surroundings {
  /** How often the proxy began, undefined while it is dead: a pull during which this changed is no pull. */
  readonly proxyLife: () => number | undefined;
  /** The same of the upstream registry. */
  readonly upstreamLife: () => number | undefined;
  readonly isCached: (image: string) => boolean;
}

const AT_A_TIME = 3;
const PAUSE_MS = 100;
const MiB = 1024 * 1024;

/** Pulls images through the proxy, whole ones, several at a time, again and again until stopped. */
export class Puller {
  readonly records: PullRecord[] = [];
  readonly #ending = new AbortController();
  readonly #surroundings: Surroundings;
  readonly #done: Promise<unknown>;
  readonly #underWay = new Set<Body>();

  constructor(wanted: ReadonlyMap<string, WantedImage>, surroundings: Surroundings) {
    this.#surroundings = surroundings;
    const images = [...wanted];
    // Each begins elsewhere, so that different images are on their way at a time.
    this.#done = Promise.all(
      Array.from({ length: AT_A_TIME }, (_, at) => {
        const first = Math.floor((at * images.length) / AT_A_TIME);
        return this.#run([...images.slice(first), ...images.slice(0, first)]);
      }),
    );
  }

  /** A long body has begun just now: most of it is still to be read from whoever serves it. */
  longBodyBegun(): boolean {
    return [...this.#underWay].some(({ bytes }) => bytes >= MiB && bytes < 4 * MiB);
  }

  /** What is under way is given up and counts for nothing. */
  async stop(): Promise<PullRecord[]> {
    this.#ending.abort();
    await this.#done;
    return this.records;
  }

  async #run(images: readonly (readonly [string, WantedImage])[]): Promise<void> {
    while (!this.#ending.signal.aborted) {
      for (const [image, wanted] of images) {
        if (this.#ending.signal.aborted) return;
        await this.#pull(image, wanted);
      }
    }
  }

  async #pull(image: string, wanted: WantedImage): Promise<void> {
    const { proxyLife, upstreamLife, isCached } = this.#surroundings;
    const [proxy, upstream, cached] = [proxyLife(), upstreamLife(), isCached(image)];
    const since = performance.now();
    const why = await pullImage(wanted, this.#ending.signal, this.#underWay).then(
      () => '',
      (error: unknown) => {
        if (error instanceof PullBroken) return error.message;
        if (!this.#ending.signal.aborted) throw error;
        return undefined;
      },
    );
    // Between two pulls a node does something else; a dead proxy refuses at once, too.
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    if (why === undefined) return;
    const sameProxy = proxy !== undefined && proxyLife() === proxy;
    if (why !== '' && !sameProxy) return;
    const upstreamAway = upstream === undefined || upstreamLife() !== upstream;
    const ms = performance.now() - since;
    this.records.push({ image, ok: why === '', why, hopeless: upstreamAway && !cached, ms });
  }
}
