import type { CachedImage } from '@kuik/contracts';
import type { Reference } from '@kuik/image';
import { payerKey, type Pacer, type Payer } from '@kuik/queue';
import type { Clock } from '@kuik/runtime';
import { watchedReference } from './candidates.ts';

export interface ImagePayersOptions {
  readonly pacer: Pick<Pacer, 'parkedUntil'>;
  /** Who pays for its check. Never throws. */
  readonly payerOf: (reference: Reference) => Promise<Payer>;
  /** Share of a quota that checks leave to others. */
  readonly floor: number;
  readonly clock: Clock;
}

/** Payers that are looked up in a round, each of which may cost the broker a question. */
const LOOK_UPS = 5;

/** Whom registries count the checks of each image for, and until when each of them may not ask. */
export class ImagePayers {
  readonly #options: ImagePayersOptions;
  /** Who paid for each image's check last, by uid. */
  readonly #payers = new Map<string, Payer>();
  /** When it was looked up who pays for an image whose payer may not ask, by uid. */
  readonly #lookedUp = new Map<string, number>();
  /** Payers whom checks leave alone for a reason that no other process knows of, and until when, by `payerKey`. */
  readonly #resting = new Map<string, number>();
  /** Of the last `follow`, by `payerKey`. */
  #parked: ReadonlyMap<string, number> = new Map();

  constructor(options: ImagePayersOptions) {
    this.#options = options;
  }

  /**
   * Learns until when payers may not ask. While strangers may not ask a host, looks up who pays for a few of the images that are held to be theirs, those
   * first for which that is longest ago: a login may have come since, and after a restart nobody's payer is known. Throws QueueError.
   */
  async follow(images: ReadonlyMap<string, CachedImage>, hosts: Iterable<string>): Promise<void> {
    for (const known of [this.#payers, this.#lookedUp])
      for (const uid of known.keys()) if (!images.has(uid)) known.delete(uid);
    this.#parked = await this.#parks(hosts);
    const now = this.#options.clock.now();
    const lookedUp = ({ metadata }: CachedImage): number => this.#lookedUp.get(metadata.uid) ?? -Infinity;
    const waiting: CachedImage[] = [];
    for (const image of images.values()) {
      const host = watchedReference(image)?.host;
      if (host === undefined || this.#payers.get(image.metadata.uid)?.account !== undefined) continue;
      if ((this.#parked.get(payerKey({ host })) ?? 0) > now) waiting.push(image);
    }
    for (const image of waiting.sort((a, b) => lookedUp(a) - lookedUp(b)).slice(0, LOOK_UPS)) {
      this.#lookedUp.set(image.metadata.uid, now);
      await this.of(image, watchedReference(image)!);
    }
  }

  /** Who pays for the image's check now. */
  async of({ metadata }: CachedImage, reference: Reference): Promise<Payer> {
    const payer = await this.#options.payerOf(reference);
    this.#payers.set(metadata.uid, payer);
    return payer;
  }

  /** Who paid last; undefined: nobody knows. */
  known({ metadata }: CachedImage): Payer | undefined {
    return this.#payers.get(metadata.uid);
  }

  /** Checks leave this payer alone until then (epoch ms); copies and pulls need not. */
  rest(payer: Payer, untilMs: number): void {
    this.#resting.set(payerKey(payer), untilMs);
  }

  /** Until when whoever pays for its check may not ask. Of an image that was never checked and has no pull secrets that is presumed to be nobody. */
  notBefore(image: CachedImage, host: string): number | undefined {
    const payer = this.known(image);
    if (payer !== undefined) return this.#parked.get(payerKey(payer));
    return (image.status?.pullSecrets?.length ?? 0) > 0 ? undefined : this.#parked.get(payerKey({ host }));
  }

  /** Until when nobody in particular may ask these hosts, and those who paid for checks theirs. */
  async #parks(hosts: Iterable<string>): Promise<Map<string, number>> {
    const { pacer, floor, clock } = this.#options;
    for (const [key, until] of this.#resting) if (until <= clock.now()) this.#resting.delete(key);
    const all = [...[...hosts].map((host): Payer => ({ host })), ...this.#payers.values()];
    const payers = new Map(all.map((payer) => [payerKey(payer), payer]));
    const parks = await Promise.all(
      [...payers].map(async ([key, payer]): Promise<[string, number]> => {
        return [key, Math.max((await pacer.parkedUntil(payer, { floor })) ?? 0, this.#resting.get(key) ?? 0)];
      }),
    );
    return new Map(parks.filter(([, until]) => until > 0));
  }
}
