import { isKubeError } from './kube-error.ts';
import type { CallOptions, KubeClient, Resource } from './port.ts';

interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[];
}

interface ApiGroup {
  versions?: { version: string }[];
}

/**
 * The collection that serves a kind, as the API server's discovery tells; undefined when it serves no such kind (its CRD is not installed).
 * When the version that is asked for is served no more, another one of its group: the objects are the same. `apiVersion` is `v1` or
 * `group/version`. Throws KubeError.
 * Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
export async function discoverResource(
  client: Pick<KubeClient, 'raw'>,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
  options: CallOptions = {},
): Promise<Resource | undefined> {
  const [version, group] = apiVersion.split('/').reverse() as [string, string | undefined];
  const ask = <T>(path: string): Promise<T | undefined> => unlessAbsent(client.raw<T>('GET', path, undefined, options));
  const inVersion = async (version: string): Promise<Resource | undefined> => {
    const served = await ask<ApiResourceList>(group === undefined ? `/api/${version}` : `/apis/${group}/${version}`);
    // Subresources (`rollouts/status`) have their parent's kind.
    const found = served?.resources?.find((each) => each.kind === kind && !each.name.includes('/'));
    if (found === undefined) return undefined;
    return {
      ...(group === undefined ? {} : { group }),
      version,
      plural: found.name,
      kind,
      namespaced: found.namespaced,
    };
  };
  const asNamed = await inVersion(version);
  if (asNamed !== undefined || group === undefined) return asNamed;
  const { versions = [] } = (await ask<ApiGroup>(`/apis/${group}`)) ?? {};
  for (const other of versions) {
    const found = other.version === version ? undefined : await inVersion(other.version);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function unlessAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isKubeError(error, 'not-found')) return undefined;
    throw error;
  }
}
