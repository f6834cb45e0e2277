import { stringify } from 'yaml';
import { identityObjects } from './chart-objects.ts';

/** Text of deploy/compose/identities.yaml: who our services are on the API server of docker-compose.yaml, as the chart says. */
export async function composeIdentities(): Promise<string> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kuik-system' } };
  const objects = [namespace, ...(await identityObjects('https://webhook:9443/mutate'))];
  const head = '# Rendered from the chart by scripts/render-compose.ts.\n';
  return `${head}${objects.map((object) => stringify(object)).join('---\n')}`;
}
