import type { KubeObject } from '@kuik/kube';
import { formatPlatform } from '@kuik/image';

/** How long a platform is still wanted after its last node went: an autoscaler's nodes come back. */
export const REMEMBERED_MS = 24 * 60 * 60_000;

export interface NodeObject extends KubeObject {
  readonly status?: { readonly nodeInfo?: { readonly operatingSystem?: string; readonly architecture?: string } };
}

export interface NodeView {
  readonly name: string;
  /** `linux/arm64`; undefined when the node does not say. */
  readonly platform: string | undefined;
}

/** What a node runs: as its kubelet reports it, else as its labels say. A kubelet knows of no variant. */
export function viewNode({ metadata: { name, labels = {} }, status }: NodeObject): NodeView {
  // A node that no kubelet has reported for has these fields, empty.
  const told = (field: string | undefined, label: string): string | undefined =>
    (field === '' ? undefined : field) ?? labels[label];
  const os = told(status?.nodeInfo?.operatingSystem, 'kubernetes.io/os');
  const architecture = told(status?.nodeInfo?.architecture, 'kubernetes.io/arch');
  if (!os || !architecture) return { name, platform: undefined };
  // `arm` would become `arm/v7`, and a node may run less than that.
  return { name, platform: architecture === 'arm' ? `${os}/arm` : formatPlatform({ os, architecture }) };
}

/** The platforms of the cluster's nodes, one by one as they come and go. */
export class NodePlatforms {
  readonly #nodes = new Map<string, string | undefined>();
  readonly #seenAt = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  put({ name, platform }: NodeView): void {
    this.remove(name);
    this.#nodes.set(name, platform);
  }

  remove(name: string): void {
    const platform = this.#nodes.get(name);
    if (platform !== undefined) this.#seenAt.set(platform, this.#now());
    this.#nodes.delete(name);
  }

  replaceAll(nodes: Iterable<NodeView>): void {
    const listed = [...nodes];
    const names = new Set(listed.map(({ name }) => name));
    for (const name of [...this.#nodes.keys()]) if (!names.has(name)) this.remove(name);
    for (const node of listed) this.put(node);
  }

  /** Sorted; undefined when there is no node, or one that does not say what it runs: nothing can be left out then. */
  wanted(): readonly string[] | undefined {
    const running = new Set(this.#nodes.values());
    if (running.size === 0 || running.has(undefined)) return undefined;
    const platforms = new Set(running as Set<string>);
    for (const [platform, at] of this.#seenAt) {
      if (at + REMEMBERED_MS > this.#now()) platforms.add(platform);
      else this.#seenAt.delete(platform);
    }
    return [...platforms].sort();
  }
}
