import { IMAGE_SERVED, IMAGE_USED } from '@kuik/contracts';
import type { ImageServed, ImageState, ImageUsed } from '@kuik/contracts';
import type { Bus, Fate } from '../port.ts';

/** A place where buses meet; made by the adapter's and by the twin's own test. */
export interface Bed {
  connect(count: (subject: string, fate: Fate) => void): Promise<Bus>;
  /** Raw bytes on a subject, as a stranger would send them. */
  inject(subject: string, bytes: string): Promise<void>;
  /** Every stream and bucket is lost. */
  loseData(): Promise<void>;
  deadLetters(): Promise<{ payload: unknown; reason: string }[]>;
  stop(): Promise<void>;
}

/** A stream whose consumer is impatient, so that failing often takes no time. */
export const SERVED = { ...IMAGE_SERVED, ackWaitMs: 1000, maxDeliver: 3 };
export const KEY = 'aaaa.bbbb';

export const used = (image: string): ImageUsed => ({
  namespace: 'default',
  pullSecrets: [],
  images: [image],
  requestId: 'r',
});
export const served = (node: string): ImageServed => ({ node, since: '2026-01-01T00:00:00Z', images: [] });
export const state = (resourceVersion: string): ImageState => ({
  reference: 'docker.io/library/nginx:1',
  uid: 'u',
  resourceVersion,
});

/** Waits until `check` holds; the jest deadline bounds it. */
export async function eventually<T>(check: () => T | Promise<T | undefined> | undefined, ms = 15_000): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`never became true: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** One bed while a suite runs, the buses that each test opened on it, and what became of their messages. */
export class Room {
  bed!: Bed;
  /** `<fate> <subject>` */
  readonly fates: string[] = [];
  readonly #open: Bus[] = [];

  async connect(): Promise<Bus> {
    const bus = await this.bed.connect((subject, fate) => this.fates.push(`${fate} ${subject}`));
    this.#open.push(bus);
    return bus;
  }

  /** After each test: its buses are closed, its data is gone. */
  async clear(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((bus) => bus.close()));
    await this.bed.loseData();
    this.fates.length = 0;
  }

  /** Publishes until the subscriber, whose subscription travels to the server by itself, has heard one. */
  async heard(bus: Bus, seen: unknown[]): Promise<void> {
    await eventually(() => {
      bus.publish(IMAGE_USED, used('warm'));
      return seen.length > 0 || undefined;
    });
  }
}
