import type { KubeObject } from '../port.ts';

interface ResourceList {
  resources: { name: string; kind: string; namespaced: boolean }[];
}

/** Finds an object's API path from its apiVersion, kind, namespace and name, by the API server's own discovery. */
export class ResourcePaths {
  readonly #get: (path: string) => Promise<ResourceList>;
  readonly #known = new Map<string, { plural: string; namespaced: boolean }>();

  constructor(get: (path: string) => Promise<ResourceList>) {
    this.#get = get;
  }

  /** `/apis/apps/v1/namespaces/x/deployments/y`. Throws when the API server does not serve the kind. */
  async of(object: KubeObject): Promise<string> {
    const { apiVersion, kind, metadata } = object;
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { plural, namespaced } = await this.#lookUp(root, kind);
    const scope = namespaced ? `/namespaces/${metadata.namespace ?? 'default'}` : '';
    return `${root}${scope}/${plural}/${metadata.name}`;
  }

  async #lookUp(root: string, kind: string): Promise<{ plural: string; namespaced: boolean }> {
    const key = `${root} ${kind}`;
    const known = this.#known.get(key);
    if (known) return known;
    for (const resource of (await this.#get(root)).resources) {
      if (resource.name.includes('/')) continue;
      this.#known.set(`${root} ${resource.kind}`, { plural: resource.name, namespaced: resource.namespaced });
    }
    const found = this.#known.get(key);
    if (!found) throw new Error(`the API server serves no ${kind} in ${root}`);
    return found;
  }
}
