import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { identityObjects } from './chart-objects.ts';

// Writes deploy/compose/identities.yaml: who our services are on the API server of docker-compose.yaml, as the chart says.
const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kuik-system' } };
const objects = [namespace, ...(await identityObjects('https://webhook:9443/mutate'))];
writeFileSync(
  path.resolve(import.meta.dirname, '../../../deploy/compose/identities.yaml'),
  `# Rendered from the chart by e2e/src/stack/render-compose.ts.\n${objects.map((object) => stringify(object)).join('---\n')}`,
);
