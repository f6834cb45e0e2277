import { afterAll, beforeAll, describe } from '@jest/globals';
import { CRDS } from '@kuik/contracts';
import { leaseControlPlane, type ControlPlane } from '@kuik/testbed';
import { createKubeClient } from './client.ts';
import { applyConformance } from './conformance/applying.ts';
import { objectsConformance } from './conformance/objects.ts';
import { watchConformance } from './conformance/watching.ts';
import type { World } from './conformance/world.ts';

describe('the client on the real API server', () => {
  let plane: ControlPlane;
  let world: World;
  beforeAll(async () => {
    plane = await leaseControlPlane();
    await plane.applyAll(CRDS);
    await plane.namespace('other');
    const client = createKubeClient({ kubeconfig: plane.kubeconfig });
    world = { client, goneVersion: async () => '1' };
  }, 60_000);
  afterAll(async () => {
    await world?.client.close();
    await plane?.stop();
  });
  objectsConformance(() => world);
  applyConformance(() => world);
  watchConformance(() => world);
});
