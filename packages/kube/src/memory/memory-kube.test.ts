import { describe } from '@jest/globals';
import { applyConformance } from '../conformance/applying.ts';
import { electionConformance } from '../conformance/electing.ts';
import { objectsConformance } from '../conformance/objects.ts';
import { recordingConformance } from '../conformance/recording.ts';
import { watchConformance } from '../conformance/watching.ts';
import { KubeError } from '../kube-error.ts';
import type { KubeClient } from '../port.ts';
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
    mortal,
  });

  /** The same objects, until it dies. */
  async function mortal(): Promise<{ client: KubeClient; die(): void }> {
    let dead = false;
    const dying = new Proxy(client, {
      get(target, field) {
        if (dead) return () => Promise.reject(new KubeError('unavailable', 'dead'));
        const value: unknown = Reflect.get(target, field, target);
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    });
    return { client: dying, die: () => (dead = true) };
  }

  objectsConformance(world);
  applyConformance(world);
  watchConformance(world);
  electionConformance(world);
  recordingConformance(world);
});
