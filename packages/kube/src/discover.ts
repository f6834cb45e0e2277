import { isKubeError } from './kube-error.ts';
import type { CallOptions, KubeClient, Resource } from './port.ts';

interface ApiResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[];
}

/**
 * The collection that serves a kind, as the API server's discovery tells; undefined when it serves no such kind (its CRD is not installed).
 * `apiVersion` is `v1` or `group/version`. Throws KubeError.
 * Source: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
 */
export async function discoverResource(
  client: Pick<KubeClient, 'raw'>,
  { apiVersion, kind }: { readonly apiVersion: string; readonly kind: string },
  options: CallOptions = {},
): Promise<Resource | undefined> {
  const [version, group] = apiVersion.split('/').reverse() as [string, string | undefined];
  const path = group === undefined ? `/api/${version}` : `/apis/${group}/${version}`;
  let served: ApiResourceList;
  try {
    served = await client.raw<ApiResourceList>('GET', path, undefined, options);
  } catch (error) {
    if (isKubeError(error, 'not-found')) return undefined;
    throw error;
  }
  // Subresources (`rollouts/status`) have their parent's kind.
  const found = served.resources?.find((each) => each.kind === kind && !each.name.includes('/'));
  if (found === undefined) return undefined;
  const { name: plural, namespaced } = found;
  return { ...(group === undefined ? {} : { group }), version, plural, kind, namespaced };
}
