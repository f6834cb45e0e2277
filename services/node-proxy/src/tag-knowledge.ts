import type { Bus, KeyFollower } from '@kuik/bus';
import { IMAGE_STATE, type ImageState } from '@kuik/contracts';
import { formatReference, stateKey, type Reference } from '@kuik/image';
import type { Knowledge } from './route.ts';
import { WeightedLru } from './weighted-lru.ts';

export interface TagKnowledgeOptions {
  readonly bus: Pick<Bus, 'bucket' | 'status' | 'onStatus'>;
  /** How long a request may wait for a first answer. */
  readonly timeoutMs: number;
  /** After a wait that brought nothing, nobody waits for this long. */
  readonly spareMs: number;
  /** How many tags are followed; the one not asked for longest is let go. */
  readonly followed: number;
  /** Monotonic ms. */
  readonly now: () => number;
}

interface Followed {
  reference: string;
  /** `unread` until the first answer. */
  state: ImageState | 'none' | 'unread';
  readonly waiting: (() => void)[];
}

/** The first connection takes a moment: requests of this long after the start wait as if there were one. */
const START_MS = 1000;

/**
 * What is known of the tags that this node was asked for: each is read once from the key-value bucket and followed from then on. A
 * request waits for a first answer, never longer than `timeoutMs`, and not at all while NATS is away.
 */
export class TagKnowledge {
  readonly #options: TagKnowledgeOptions;
  readonly #follower: KeyFollower;
  readonly #tags: WeightedLru<Followed>;
  readonly #keys: WeightedLru<string>;
  readonly #unfollow: { stop(): Promise<void> };
  readonly #startedAtMs: number;
  #connected: boolean;
  /** When NATS was last connected, monotonic ms. */
  #lostAtMs: number | undefined;
  #spareUntilMs = -Infinity;

  constructor(options: TagKnowledgeOptions) {
    this.#options = options;
    const { bus, now } = options;
    this.#startedAtMs = now();
    this.#connected = bus.status() === 'connected';
    this.#unfollow = bus.onStatus((status) => {
      if (this.#connected && status !== 'connected') this.#lostAtMs = now();
      this.#connected = status === 'connected';
      if (this.#connected) this.#spareUntilMs = -Infinity;
    });
    this.#follower = bus.bucket(IMAGE_STATE).follow((key, entry) => this.#heard(key, entry?.value));
    this.#keys = new WeightedLru(options.followed);
    this.#tags = new WeightedLru(options.followed, (key) => this.#follower.remove(key));
  }

  /** What is known of a tag now. Never throws, never waits longer than `timeoutMs`. */
  async of(reference: Reference): Promise<Knowledge> {
    const key = this.#key(reference);
    let tag = this.#tags.get(key);
    if (tag === undefined) {
      tag = { reference: formatReference(reference), state: 'unread', waiting: [] };
      this.#tags.set(key, tag);
      this.#follower.add(key);
    }
    if (tag.state === 'unread') await this.#firstAnswer(tag);
    return this.#knowledge(tag) ?? {};
  }

  /** What is known of a tag without asking anybody; undefined when it was not read yet. */
  known(reference: Reference): Knowledge | undefined {
    const tag = this.#tags.get(this.#key(reference));
    return tag === undefined ? undefined : this.#knowledge(tag);
  }

  async stop(): Promise<void> {
    await this.#unfollow.stop();
    await this.#follower.stop();
  }

  /** A key is a hash, and the same tags are asked for again and again. */
  #key(reference: Reference): string {
    const name = formatReference(reference);
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const key = stateKey(reference);
    this.#keys.set(name, key);
    return key;
  }

  #knowledge({ state }: Followed): Knowledge | undefined {
    if (state === 'unread') return undefined;
    const confirmedAtMs = this.#connected ? this.#options.now() : this.#lostAtMs;
    return { ...(state === 'none' ? {} : { state }), ...(confirmedAtMs === undefined ? {} : { confirmedAtMs }) };
  }

  #heard(key: string, state: ImageState | undefined): void {
    const tag = this.#tags.get(key);
    if (tag === undefined) return;
    // Another reference under the same key would be a hash collision: it says nothing of ours.
    tag.state = state?.reference === tag.reference ? state : 'none';
    for (const resume of tag.waiting.splice(0)) resume();
  }

  async #firstAnswer(tag: Followed): Promise<void> {
    const { timeoutMs, spareMs, now } = this.#options;
    const mayAnswer = this.#connected || now() - this.#startedAtMs < START_MS;
    if (!mayAnswer || now() < this.#spareUntilMs) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#spareUntilMs = now() + spareMs;
        resolve();
      }, timeoutMs);
      tag.waiting.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** Without NATS nothing is ever known of a tag. */
export class NoTagKnowledge implements Pick<TagKnowledge, 'of' | 'known' | 'stop'> {
  of(_reference: Reference): Promise<Knowledge> {
    return Promise.resolve({});
  }

  known(_reference: Reference): Knowledge | undefined {
    return undefined;
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
