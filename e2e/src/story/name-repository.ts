import type { ApiClient } from '@kuik/testbed';

const GROUP_VERSION = 'kuik.enix.io/v1alpha1';

/** Names a repository (`host/path`) as a person does: what no pod uses may be pulled from its registry. */
export async function nameRepository(api: ApiClient, name: string): Promise<void> {
  const metadata = { name: name.replaceAll(/[^a-z0-9]/g, '-') };
  const repository = { apiVersion: GROUP_VERSION, kind: 'Repository', metadata, spec: { name } };
  await api.create(`/apis/${GROUP_VERSION}/repositories`, repository);
}
