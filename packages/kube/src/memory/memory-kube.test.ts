import { describe } from '@jest/globals';
import { applyConformance } from '../conformance/applying.ts';
import { objectsConformance } from '../conformance/objects.ts';
import { watchConformance } from '../conformance/watching.ts';
import { NAMESPACES } from '../resources.ts';
import { memoryKube } from './memory-kube.ts';

describe('the twin in memory', () => {
  const client = memoryKube();
  for (const name of ['default', 'other']) client.put(NAMESPACES, { metadata: { name } });
  const world = () => ({
    client,
    goneVersion: async () => {
      client.forgetHistory();
      return '1';
    },
  });
  objectsConformance(world);
  applyConformance(world);
  watchConformance(world);
});
