import { createHash } from 'node:crypto';
import type { LocalStack } from '../stack/local-stack.ts';

export interface PullRecord {
  readonly reference: string;
  readonly at: number;
  readonly ok: boolean;
  readonly why: string;
}

const TIMEOUT_MS = 15_000;
const ACCEPT = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';

/**
 * Pulls manifests through the proxy again and again until stopped, one after the other, and checks the bytes of each answer against the
 * digest that upstream pushed. A pull while the proxy itself is dead is no pull: `proxyAlive` says so.
 */
export class Puller {
  readonly records: PullRecord[] = [];
  readonly #ending = new AbortController();
  readonly #done: Promise<void>;

  constructor(
    stack: LocalStack,
    wanted: readonly { reference: string; path: string; digest: string }[],
    proxyAlive: () => boolean,
  ) {
    this.#done = this.#run(stack, wanted, proxyAlive);
  }

  async stop(): Promise<PullRecord[]> {
    this.#ending.abort();
    await this.#done;
    return this.records;
  }

  async #run(
    stack: LocalStack,
    wanted: readonly { reference: string; path: string; digest: string }[],
    proxyAlive: () => boolean,
  ): Promise<void> {
    while (!this.#ending.signal.aborted) {
      for (const { reference, path, digest } of wanted) {
        if (this.#ending.signal.aborted) return;
        const aliveBefore = proxyAlive();
        const why = await pull(`http://${stack.proxyPrefix}${path}`, digest);
        if (why === '' || (aliveBefore && proxyAlive()))
          this.records.push({ reference, at: Date.now(), ok: why === '', why });
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Empty when the right bytes came; otherwise what came instead. */
async function pull(url: string, digest: string): Promise<string> {
  try {
    const answer = await fetch(url, { headers: { accept: ACCEPT }, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const bytes = Buffer.from(await answer.arrayBuffer());
    if (answer.status !== 200) return `${answer.status} ${bytes.toString().slice(0, 200)}`;
    const got = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    return got === digest ? '' : `wrong bytes: ${got}`;
  } catch (error) {
    return `${(error as Error).name}: ${((error as { cause?: Error }).cause ?? (error as Error)).message}`;
  }
}
