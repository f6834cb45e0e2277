import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { makeImage, until, whyNotHere, type PushedImage } from '@kuik/testbed';
import { challengingRelay, type ChallengingRelay } from './node/challenging-relay.ts';
import {
  eventsOf,
  removePod,
  runPod,
  statusesOf,
  untilGone,
  untilRuns,
  untilTold,
  type NodeWorld,
} from './node/node-pods.ts';
import { NODE_STORY } from './node/node-story.ts';
import { OTHERS_IMAGE, PRIVATE_IMAGE, privateScene, type PrivateScene } from './node/private-scene.ts';
import { scaleShop } from './node/run-shop.ts';
import { startLocalParts } from './stack/local-parts.ts';
import { LocalStack, ONE_OF_EACH } from './stack/local-stack.ts';
import { untilReady } from './story/cached-images.ts';
import { linesOf } from './story/log-lines.ts';
import { HOST } from './story/world.ts';

// A node takes Linux, root and cgroups. What else may be missing is no reason to skip: it is obtained before.
const impossible = whyNotHere();
const onNode = impossible.length === 0 ? describe : describe.skip;
const MiB = 1024 * 1024;
/** Larger layers are fetched in pieces of this size, smaller ones in one. */
const PIECE = 4 * MiB;

let parts: Awaited<ReturnType<typeof startLocalParts>>;
let world: LocalStack & NodeWorld;
let scene: PrivateScene | undefined;
let relay: ChallengingRelay | undefined;
beforeAll(async () => {
  if (impossible.length > 0) return;
  parts = await startLocalParts({ node: { layerFetchBuffer: PIECE, pullProgressTimeout: '3s' } });
  const stack = await LocalStack.onParts(parts, () => parts.stop(), { replicas: ONE_OF_EACH });
  world = Object.assign(stack, { node: stack.node! });
});
afterAll(async () => {
  await relay?.close();
  await scene?.stop();
  await world?.stop();
});

/** Creates the pod and gives kubelet's first word of why its image is not there. */
async function failure(name: string, image: string): Promise<string> {
  await runPod(world, name, image);
  try {
    return await untilTold(world, name, 'Failed', /^Failed to pull image/);
  } finally {
    await removePod(world, name);
  }
}

/** Puts a runnable image upstream as `<name>:1`, with one layer of so many bytes. */
async function push(name: string, bytes: number): Promise<PushedImage> {
  return world.push(HOST, name, ['1'], await makeImage({ seed: `node/${name}`, runnable: true, layers: [bytes] }));
}

onNode('the main job, where pods really start', () => {
  it.each(NODE_STORY.map((step) => [step.title, step] as const))('%s', async (_title, step) => {
    const { good, broken } = await step.prove(world);
    expect(good).toEqual([]);
    for (const { name, problems } of broken)
      expect({ name, noticed: problems.length > 0 }).toEqual({ name, noticed: true });
  });
});

onNode('what a person reads of a pod that cannot start', () => {
  it('upstream is down and the image was never cached: what happened, and what to do', async () => {
    const text = await failure('down', `${HOST}/never-cached:1`);
    expect(text).toContain(`503 KUIK-REG-503: cannot connect to ${HOST}: ECONNREFUSED. Check that the registry is up`);
  });

  it('upstream does not have the image', async () => {
    await world.bringUpstreamBack();
    const text = await failure('unknown', `${HOST}/no-such-image:1`);
    // containerd keeps to itself what it was told with 404.
    expect(text).toContain(`${world.proxyPrefix}/${HOST}/no-such-image:1: not found`);
  });

  it('upstream refuses who has no credential', async () => {
    await world.faults.host('docker.io').auth({ scheme: 'bearer', users: [{ username: 'u', password: 'p' }] });
    const text = await failure('refused', 'docker.io/team/private:1');
    expect(text).toContain('401 KUIK-REG-401: cannot read');
    expect(text).toContain('Check the pull secrets of the pod and its service account.');
  });
});

onNode('what containerd asks of the proxy', () => {
  beforeAll(async () => {
    await scaleShop(world, 0);
    await removePod(world, 'always');
    await Promise.all(['shop', 'always'].map((app) => untilGone(world, app)));
  });

  it('pieces of a layer, several at once; and the image again from the cache when upstream is down', async () => {
    const { digest, blobs } = await push('pieces', 4 * PIECE);
    const layer = Object.keys(blobs).find((blob) => blobs[blob]! > PIECE)!;
    const pieces = (): number =>
      linesOf(readFileSync(world.services['node-proxy'][0]!.logFile, 'utf8')).filter(
        (line) => line['digest'] === layer && line['status'] === 206,
      ).length;
    await runPod(world, 'pieces', `${HOST}/pieces:1`);
    expect(statusesOf(await untilRuns(world, 'pieces'))[0]!.imageID).toContain(digest);
    await until(() => pieces() >= 4, { what: 'the proxy to tell of four pieces' });

    await untilReady(world.api, [`${HOST}/pieces:1`], () => undefined);
    await removePod(world, 'pieces');
    await untilGone(world, 'pieces');
    await world.node.removeImages();
    await world.faults.host(HOST).down();
    try {
      await runPod(world, 'pieces', `${HOST}/pieces:1`);
      expect(statusesOf(await untilRuns(world, 'pieces'))[0]!.imageID).toContain(digest);
    } finally {
      await world.faults.host(HOST).up();
    }
  });

  it('a layer that comes slowly: not given up while it comes', async () => {
    await push('slow', PIECE);
    const slow = world.faults.host(HOST).on({ kind: 'blob', repository: 'slow' }).drip(MiB);
    const since = performance.now();
    await runPod(world, 'slow', `${HOST}/slow:1`);
    await untilRuns(world, 'slow');
    slow.clear();
    expect(performance.now() - since).toBeGreaterThan(3_000);
    expect((await eventsOf(world, 'slow')).map(({ reason }) => reason)).not.toContain('Failed');
  });

  it('with the one pull secret that is keyed by the proxy’s address, when it is challenged', async () => {
    relay = await challengingRelay(world.proxyPrefix);
    const image = `${relay.prefix}/${HOST}/pieces:1`;
    const auths = { [relay.prefix]: { username: 'kuik', password: 'signed' } };
    await world.api.create('/api/v1/namespaces/default/secrets', {
      metadata: { name: 'kuik-pull' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
    });
    expect(await failure('without', image)).toContain('no basic auth credentials');
    expect(new Set(relay.callers)).toEqual(new Set(['']));
    await runPod(world, 'with', image, { imagePullSecrets: [{ name: 'kuik-pull' }] });
    await untilRuns(world, 'with');
    expect(new Set(relay.callers)).toEqual(new Set(['', 'kuik:signed']));
  });
});

onNode('a private image, where the proxy enforces', () => {
  it('runs in the namespace whose credential the registry took, and in no other: neither from the cache nor from the node; also with upstream down', async () => {
    scene = await privateScene(world, parts);
    const { entitled, neighbour } = scene;
    const refused = (image: string) => `403 KUIK-ACC-403: ${image.replace(/:1$/, '')} is not served: CredentialRefused`;
    expect(await scene.refusal(neighbour, 'never-had', OTHERS_IMAGE)).toContain(refused(OTHERS_IMAGE));
    await scene.run(entitled, 'first', () => untilReady(world.api, [PRIVATE_IMAGE], () => undefined));
    // It is on the node by now.
    expect(await world.node.images()).toContainEqual(expect.stringContaining('team/app'));
    expect(await scene.refusal(neighbour, 'on-the-node')).toContain(refused(PRIVATE_IMAGE));

    await world.node.removeImages();
    await world.faults.host(HOST).down();
    expect(await scene.refusal(neighbour, 'in-the-cache')).toContain('KUIK-ACC-');
    await scene.run(entitled, 'again');
  });
});
