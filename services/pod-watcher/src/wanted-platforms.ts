import { type KubeClient, NODES, type ReflectorEvent } from '@kuik/kube';
import { Feed } from './feed.ts';
import { type NodeObject, NodePlatforms, type NodeView, viewNode } from './node-platforms.ts';
import type { PlatformsSetting } from './platforms-setting.ts';
import { sameJson } from './same-json.ts';

/** `undefined`: not known. What is copied anew is then copied with all of them; what is cached stays as it is. */
export type Wanted = readonly string[] | 'all' | undefined;

export interface WantedPlatformsParts {
  readonly setting: PlatformsSetting;
  readonly kube: KubeClient;
  readonly resyncMs: number;
  /** How long copies wait for the first list of nodes. */
  readonly patienceMs: number;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly observe: (event: ReflectorEvent) => void;
  /** What is wanted is another set than before. */
  readonly onChange: (wanted: Wanted) => void;
}

/**
 * Which platforms of an image are copied: those that are configured, or those of the cluster's nodes. While nodes cannot be listed, all are: a
 * platform too many costs space, one too few costs a pull. Followed by every replica for as long as it runs, not by term.
 */
export class WantedPlatforms {
  readonly name = 'platforms';
  readonly #parts: WantedPlatformsParts;
  readonly #nodes: NodePlatforms;
  readonly #feed: Feed<NodeObject, NodeView> | undefined;
  #waitsUntil = -Infinity;
  #listed = false;
  #told: Wanted;

  constructor(parts: WantedPlatformsParts) {
    this.#parts = parts;
    this.#nodes = new NodePlatforms(parts.now);
    if (parts.setting !== 'auto') return;
    this.#feed = new Feed<NodeObject, NodeView>({
      id: NODES.plural,
      client: parts.kube,
      resyncMs: parts.resyncMs,
      lookAgainMs: parts.resyncMs,
      find: () => Promise.resolve(NODES),
      project: viewNode,
      onChange: ({ old, now }) => {
        if (now !== undefined) this.#nodes.put(now);
        else if (old !== undefined) this.#nodes.remove(old.name);
        this.#judge();
      },
      onList: (nodes) => {
        this.#nodes.replaceAll(nodes);
        this.#listed = true;
      },
      onState: () => this.#judge(),
      observe: parts.observe,
    });
  }

  start(): Promise<void> {
    this.#waitsUntil = this.#parts.now() + this.#parts.patienceMs;
    this.#feed?.start();
    return Promise.resolve();
  }

  async close(): Promise<void> {
    await this.#feed?.stop();
  }

  wanted(): Wanted {
    const { setting } = this.#parts;
    if (setting !== 'auto') return setting;
    return this.#listed ? this.#nodes.wanted() : undefined;
  }

  /** ms for which a copy should wait because the nodes are about to be known; 0: not at all. */
  pendingMs(): number {
    if (this.#listed || this.#feed?.state !== 'pending') return 0;
    return Math.max(0, this.#waitsUntil - this.#parts.now());
  }

  /** For people; copies go on. */
  warnings(): { part: string; reason: string }[] {
    if (this.#listed || this.#feed?.state !== 'refused') return [];
    const reason = 'nodes may not be listed and watched, so every platform is copied: grant it, or set platforms';
    return [{ part: this.name, reason }];
  }

  #judge(): void {
    if (this.pendingMs() > 0) return;
    const wanted = this.wanted();
    if (sameJson(wanted ?? [], this.#told ?? [])) return;
    this.#told = wanted;
    this.#parts.onChange(wanted);
  }
}
