import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe } from '@jest/globals';
import { CRDS } from '@kuik/contracts';
import { leaseControlPlane, type ControlPlane } from '@kuik/testbed';
import { createKubeClient } from './client.ts';
import { applyConformance } from './conformance/applying.ts';
import { electionConformance, type ElectionWorld } from './conformance/electing.ts';
import { objectsConformance } from './conformance/objects.ts';
import { recordingConformance } from './conformance/recording.ts';
import { watchConformance } from './conformance/watching.ts';
import type { KubeClient } from './port.ts';
import { countingRelay } from './testing/counting-relay.ts';
import { temporaryFolder } from './testing/temporary-folder.ts';

describe('the client on the real API server', () => {
  let plane: ControlPlane;
  let world: ElectionWorld;
  const ends: (() => PromiseLike<unknown>)[] = [];
  beforeAll(async () => {
    plane = await leaseControlPlane();
    await plane.applyAll(CRDS);
    await plane.namespace('other');
    const client = createKubeClient({ kubeconfig: plane.kubeconfig });
    ends.push(() => client.close());
    world = { client, goneVersion: async () => '1', mortal };
  }, 60_000);
  afterAll(async () => {
    for (const end of ends.reverse()) await end();
    await plane?.stop();
  });

  /** A client by way of a relay that can be cut. */
  async function mortal(): Promise<{ client: KubeClient; die(): void }> {
    const relay = await countingRelay(Number(new URL(plane.url).port));
    const folder = await temporaryFolder();
    const text = await readFile(plane.kubeconfig, 'utf8');
    const file = await folder.write('kubeconfig', text.replaceAll(plane.url, `https://127.0.0.1:${relay.port}`));
    const client = createKubeClient({ kubeconfig: file });
    ends.push(
      () => relay[Symbol.asyncDispose](),
      () => folder[Symbol.asyncDispose](),
      () => client.close(),
    );
    return { client, die: () => relay.cut() };
  }

  objectsConformance(() => world);
  applyConformance(() => world);
  watchConformance(() => world);
  electionConformance(() => world);
  recordingConformance(() => world);
});
