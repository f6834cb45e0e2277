import { type KubeClient, NAMESPACES, orAbsent } from '@kuik/kube';
import type { ClusterView } from './cluster-view.ts';
import { imageIdentity } from './identity.ts';

export interface GoneNamespacesParts {
  readonly kube: Pick<KubeClient, 'get'>;
  readonly view: ClusterView;
}

/**
 * Which namespaces do not exist any more, of those whose pull secrets an unused image still remembers (used ones name those of pods that are
 * there). Looked for when everything is looked at again: what is deleted then leaves no reference behind.
 */
export class GoneNamespaces {
  readonly #parts: GoneNamespacesParts;
  #gone: ReadonlySet<string> = new Set();

  constructor(parts: GoneNamespacesParts) {
    this.#parts = parts;
  }

  has(namespace: string): boolean {
    return this.#gone.has(namespace);
  }

  /** Asks for each by name; returns the images that remember secrets of one that is gone. Throws KubeError. */
  async look(signal: AbortSignal): Promise<string[]> {
    const { kube, view } = this.#parts;
    const remembering = new Map<string, Set<string>>();
    for (const image of view.images.values()) {
      const identity = imageIdentity(image);
      if (view.usage.holdersOf(identity).size > 0) continue;
      for (const { namespace } of image.status?.pullSecrets ?? []) {
        remembering.set(namespace, (remembering.get(namespace) ?? new Set()).add(identity));
      }
    }
    const gone = new Set<string>();
    for (const name of remembering.keys()) {
      const found = await orAbsent(kube.get(NAMESPACES, { name }, { signal }));
      if (found === undefined) gone.add(name);
    }
    this.#gone = gone;
    return [...new Set([...gone].flatMap((namespace) => [...(remembering.get(namespace) ?? [])]))];
  }
}
