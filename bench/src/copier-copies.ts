import { readFileSync } from 'node:fs';
import { GROUP, VERSION, type CachedImage } from '@kuik/contracts';
import { pod, type LocalStack } from '@kuik/e2e';
import { until } from '@kuik/testbed';
import { cpuSplit, spentSince, type CpuSplit } from './cpu-split.ts';
import { cpuSeconds } from './process-cpu.ts';

const IMAGES = `/apis/${GROUP}/${VERSION}/cachedimages`;
const DEADLINE_MS = 300_000;

interface Ended {
  readonly time: string;
  readonly message: string;
  readonly ms: number;
  readonly bytesCopied: number;
  readonly cause?: string;
}

/** What a worker said of a copy. */
export interface CopierCopy {
  /** From the job's beginning until its image was written of. */
  readonly ms: number;
  /** Of all copiers, until then. */
  readonly cpuSeconds: number;
  /** Of everything that runs. */
  readonly cpu: CpuSplit;
  readonly bytesCopied: number;
}

/** The copies of a running stack's workers: begun as in a cluster, read from what the workers log. */
export class CopierCopies {
  readonly #stack: LocalStack;
  #pods = 0;

  constructor(stack: LocalStack) {
    this.#stack = stack;
  }

  /** A pod wants the image, for the first time. */
  async first(reference: string): Promise<CopierCopy> {
    const name = `copy-${(this.#pods += 1)}`;
    return this.#copy(reference, () =>
      this.#stack.api.create('/api/v1/namespaces/default/pods', pod(name, [{ name: 'app', image: reference }])),
    );
  }

  /** Its resource is deleted while a pod wants it: it is made anew, copied again, and all there. */
  async again(reference: string): Promise<CopierCopy> {
    const images = await this.#stack.api.list<CachedImage>(IMAGES);
    const image = images.find(({ spec }) => spec.sourceImage === reference);
    if (image === undefined) throw new Error(`${reference} was never copied`);
    return this.#copy(reference, () => this.#stack.api.delete(`${IMAGES}/${image.metadata.name}`));
  }

  async #copy(reference: string, begin: () => Promise<unknown>): Promise<CopierCopy> {
    const before = this.#lines(reference).length;
    const [cpu, all] = [this.#cpu(), cpuSplit()];
    await begin();
    const line = await until(() => Promise.resolve(this.#lines(reference)[before]), {
      what: `a worker to have copied ${reference}`,
      timeoutMs: DEADLINE_MS,
      everyMs: 20,
    });
    if (line.message !== 'image copied') throw new Error(`${reference}: ${line.cause}`);
    return { ms: line.ms, bytesCopied: line.bytesCopied, cpuSeconds: this.#cpu() - cpu, cpu: spentSince(all) };
  }

  #cpu(): number {
    return this.#stack.services['image-copier'].reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  }

  /** What workers said at the end of each copy of an image, in the order of time. */
  #lines(reference: string): Ended[] {
    const lines = this.#stack.services['image-copier'].flatMap(({ logFile }) =>
      readFileSync(logFile, 'utf8')
        .split('\n')
        .filter((text) => /"(image copied|copy failed)"/.test(text) && text.includes(`"${reference}"`))
        .map((text) => JSON.parse(text) as Ended),
    );
    return lines.sort((one, other) => one.time.localeCompare(other.time));
  }
}
