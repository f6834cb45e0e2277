import { afterEach, describe, expect, it } from '@jest/globals';
import { IMAGE_SERVED } from '@kuik/contracts';
import { NODES } from '@kuik/kube';
import { platformsSetting } from './platforms-setting.ts';
import { DIGEST, IMAGE } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

let world: ReturnType<typeof createWorld>;
afterEach(() => world?.close());

const node = (name: string, architecture: string): void => {
  const status = { nodeInfo: { operatingSystem: 'linux', architecture } };
  world.kube.put(NODES, { metadata: { name }, status } as never);
};
const job = (reason: string) =>
  eventually(`a job for ${reason}`, () => world.jobs.find((one) => one.reason === reason));

describe('wanted platforms', () => {
  it("are those of the cluster's nodes; a new one is brought for what is cached", async () => {
    world = createWorld();
    node('a', 'amd64');
    world.pod('web', IMAGE);
    await world.replica().start();
    expect((await job('NotCached')).platforms).toEqual(['linux/amd64']);
    await world.copied({ platforms: ['linux/amd64'], platformsOnDemand: ['linux/arm64', 'linux/s390x'] });
    node('b', 'arm64');
    const { platforms, verify } = await job('PlatformsChanged');
    expect({ platforms, verify }).toEqual({ platforms: ['linux/amd64', 'linux/arm64'], verify: true });
  });

  it('are the configured ones whatever the nodes are', async () => {
    world = createWorld({ KUIK_PLATFORMS: 'linux/amd64, linux/s390x' });
    node('b', 'arm64');
    world.pod('web', IMAGE);
    await world.replica().start();
    expect((await job('NotCached')).platforms).toEqual(['linux/amd64', 'linux/s390x']);
  });

  it.each<[unknown, unknown]>([
    [undefined, 'auto'],
    ['all', 'all'],
    ['arm64', ['arm64']],
    [['linux/arm/v7'], ['linux/arm/v7']],
    [[], undefined],
    ['', undefined],
    [['linux/amd64', 'auto/'], undefined],
    [7, undefined],
  ])('%j is %j', (written, read) => {
    expect(platformsSetting.safeParse(written).data).toEqual(read);
  });

  it('are all when they are not to be had', async () => {
    world = createWorld({ KUIK_RECONCILE_PATIENCE: '50ms' });
    world.kube.failNext('forbidden', { verb: 'list', resource: NODES, times: 100 });
    world.pod('web', IMAGE);
    await world.replica().start();
    expect(await job('NotCached')).not.toHaveProperty('platforms');
  });

  it('grow by what is pulled through of an image', async () => {
    world = createWorld();
    node('a', 'amd64');
    world.pod('web', IMAGE);
    await world.replica().start();
    const copiedAt = new Date(Date.now() - 60_000).toISOString();
    await world.copied({ copiedAt, platformsOnDemand: ['linux/arm64'] });
    const child = `sha256:${'c'.repeat(64)}`;
    const at = new Date().toISOString();
    const proxy = world.bus();
    const missing = [DIGEST, child].map((digest) => ({ repository: 'registry.example.test/shop', digest, at }));
    await proxy.publishDurable(IMAGE_SERVED, { node: 'n', since: at, images: [], missing });
    expect(await job('ContentMissing')).toMatchObject({ verify: true, platforms: ['linux/amd64'], pulled: [child] });
    await proxy.close();
  });
});
