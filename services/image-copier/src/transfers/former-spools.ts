import { setTimeout as sleep } from 'node:timers/promises';
import type { LeftSpool, TransferLeases } from '@kuik/queue';
import { RegistryError, type BlobSource, type OpenBlob } from '@kuik/registry';
import { whileAway } from './while-away.ts';

/** Between two looks at one that is waited for, with jitter. */
const LOOK_EVERY_MS = 100;
const REMEMBERED_MAX = 1_000;

/** Label `result` of `kuik_transfer_left_total`: what a look at a former owner's spool came to. */
export type LeftResult = 'there' | 'cameBack' | 'away';

export interface FormerSpoolsParts {
  readonly leases: Pick<TransferLeases, 'whereIs'>;
  /** Whether the process at this address answers. */
  readonly alive: (address: string) => Promise<boolean>;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly count: (result: LeftResult) => void;
  readonly lookEveryMs?: number;
}

/** Finds the spools of processes that owned a transfer before, wherever those are by now (docs/transfers.md, "What others left"). */
export class FormerSpools {
  readonly #parts: FormerSpoolsParts;
  /** Since when each has not answered. */
  readonly #goneSince = new Map<string, number>();

  constructor(parts: FormerSpoolsParts) {
    this.#parts = parts;
  }

  /** What one of them left of a blob, as a source that `open` reads at the address where it is. */
  source(
    left: LeftSpool,
    open: (address: string, request: Parameters<BlobSource['open']>[0]) => Promise<OpenBlob>,
  ): BlobSource {
    return {
      name: left.spool,
      open: async (request) => open(await this.#find(left, request.offset, request.signal), request),
    };
  }

  /** Where it answers. One that died a moment ago and held the byte is waited for. Throws RegistryError `refused`; `aborted` as the signal says. */
  async #find({ spool, upTo }: LeftSpool, offset: number, signal: AbortSignal | undefined): Promise<string> {
    const { leases, alive, now, count, lookEveryMs = LOOK_EVERY_MS } = this.#parts;
    for (let waited = false; ; waited = true) {
      const address = await leases.whereIs(spool);
      if (address !== undefined && (await alive(address))) {
        this.#goneSince.delete(spool);
        count(waited ? 'cameBack' : 'there');
        return address;
      }
      const goneMs = now() - this.#gone(spool);
      const next = whileAway({ settled: address !== undefined, goneMs, offset, upTo });
      if (next.do === 'go on') {
        count('away');
        throw new RegistryError('refused', `the copier that owned the transfer before does not answer: ${next.why}`);
      }
      await sleep(lookEveryMs * (0.5 + Math.random()), undefined, signal && { signal }).catch(() => {
        throw new RegistryError('aborted', 'nobody waits for it any more');
      });
    }
  }

  #gone(spool: string): number {
    const since = this.#goneSince.get(spool) ?? this.#parts.now();
    if (this.#goneSince.size > REMEMBERED_MAX) this.#goneSince.clear();
    this.#goneSince.set(spool, since);
    return since;
  }
}
