import type { ApiClient } from '@kuik/testbed';

/** Says of the cluster's only node that it is linux/amd64, as its kubelet would. */
export async function labelNode(api: ApiClient): Promise<void> {
  await api.request(
    'PATCH',
    '/api/v1/nodes/node-1',
    { metadata: { labels: { 'kubernetes.io/os': 'linux', 'kubernetes.io/arch': 'amd64' } } },
    { contentType: 'application/merge-patch+json' },
  );
}
