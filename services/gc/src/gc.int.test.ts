import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FINALIZER, IMAGE_STATE, project, type CachedImageStatus } from '@kuik/contracts';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@kuik/runtime';
import { anchorTag, cosignTags, referrersTag } from '@kuik/image';
import { indexOf, makeArtifact, makeImage, until, type MadeImage } from '@kuik/testbed';
import { createApp, type GcApp } from './app.ts';
import { gcConfig } from './config.ts';
import { GcStack, IMAGES, REPOSITORY } from './gc-stack.fixture.ts';

let world: GcStack;
const apps: GcApp[] = [];

beforeAll(async () => {
  world = await GcStack.start();
  await Promise.all([start('gc-1'), start('gc-2')]);
  await until(() => apps.some((app) => app.isLeader()), { what: 'a leader' });
}, 120_000);

afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await world?.stop();
});

beforeEach(() => {
  world.holders = 'free';
});

async function start(replica: string): Promise<void> {
  const config = loadConfig({ name: 'gc', schema: gcConfig, env: {}, file: await world.configure(replica) });
  const metrics = createMetrics({ service: 'gc', defaults: false });
  const app = createApp(config, { name: 'gc', log: silentLogger, metrics, clock: systemClock });
  apps.push(app);
  await app.start();
}

const add = (name: string, image: string, digest: string, status?: CachedImageStatus) =>
  world.add(name, image, digest, status);
const find = (name: string) => world.find(name);
const gone = (name: string) => world.gone(name);
const push = (tags: string[], seed: string) => world.push(tags, seed);
const served = (reference: string) => world.served(reference);
const eventsOn = (name: string) => world.eventsOn(name);

describe('gc on a real API server, NATS and cache registry', () => {
  it('removes an expired image, and not the other tag on the same digest', async () => {
    const pushed = await push(['1.0', '1.0.0'], 'shared');
    await add('kept', `${REPOSITORY}:1.0.0`, pushed.digest, {
      usedBy: { forUid: 'nobody', count: 0 },
    });
    await add('expired', `${REPOSITORY}:1.0`, pushed.digest);
    await gone('expired');
    expect(await served('1.0')).toBe(404);
    expect(await served('1.0.0')).toBe(200);
    expect(await served(pushed.digest)).toBe(200);
    expect((await find('kept'))?.status?.removal).toBeUndefined();
    await until(async () => (await eventsOn('expired')).length >= 2, { what: 'its events' });
    expect((await eventsOn('expired')).sort()).toEqual(['Expiring', 'Removed']);
  });

  it('tells nodes before the bytes go, and keeps what is used again', async () => {
    const pushed = await push(['2.0'], 'used-again');
    world.holders = 'unknown';
    const image = await add('used', `${REPOSITORY}:2.0`, pushed.digest);
    const { key } = project(image)!;
    const states = world.watcher.bucket(IMAGE_STATE);
    await until(async () => (await states.get(key))?.value.condemned === true, { what: 'word of the condemnation' });
    await world.bend('used', { usedBy: { count: 1 } });
    await until(async () => (await find('used'))?.status?.removal === undefined, { what: 'the image to be kept' });
    await until(async () => (await states.get(key))?.value.condemned === undefined, { what: 'word that it is kept' });
    expect(await served('2.0')).toBe(200);
  });

  it('leaves the bytes of a deleted image that is in use, and takes those of one that is not', async () => {
    const pushed = await push(['3.0', '3.1'], 'deleted');
    world.holders = 'held';
    await add('held', `${REPOSITORY}:3.0`, pushed.digest, { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    await world.stack.controlPlane.api.delete(`${IMAGES}/held`);
    await gone('held');
    expect(await served('3.0')).toBe(200);
    world.holders = 'free';
    await add('free', `${REPOSITORY}:3.1`, pushed.digest, { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    await world.stack.controlPlane.api.delete(`${IMAGES}/free`);
    await gone('free');
    expect(await served('3.1')).toBe(404);
    expect(await served('3.0')).toBe(200);
  });

  it('waits for a cache registry that is away, with the finalizer in place', async () => {
    const pushed = await push(['4.0'], 'away');
    await world.stack.cache.writer.kill();
    await add('waiting', `${REPOSITORY}:4.0`, pushed.digest);
    await until(async () => (await find('waiting'))?.status?.removal?.removedAt !== undefined, {
      what: 'its removal to begin',
    });
    expect((await find('waiting'))?.metadata.finalizers).toEqual([FINALIZER]);
    await world.stack.cache.writer.restart();
    await gone('waiting');
    expect(await served('4.0')).toBe(404);
  });

  it('removes nothing while nobody answers who holds it', async () => {
    const pushed = await push(['5.0'], 'silent');
    world.holders = 'unknown';
    await add('silent', `${REPOSITORY}:5.0`, pushed.digest);
    const counted = async (): Promise<boolean> => {
      const pages = await Promise.all(
        apps.map(async (app) => (await fetch(`http://127.0.0.1:${app.healthPort}/metrics`)).text()),
      );
      return pages.some((page) => /kuik_gc_kept_total\{reason="HoldersUnknown"\} ([3-9]|\d\d)/.test(page));
    };
    await until(counted, { what: 'several rounds without an answer', timeoutMs: 15_000 });
    expect((await find('silent'))?.status?.removal?.removedAt).toBeUndefined();
    expect(await served('5.0')).toBe(200);
    world.holders = 'free';
    await gone('silent');
  });

  it('takes along what is about the platforms of an image, unless another image lists them, also when one names a signature', async () => {
    const [own, shared] = (await Promise.all(
      ['linux/amd64', 'linux/arm64'].map((platform) => makeImage({ seed: `signed/${platform}`, platform })),
    )) as [MadeImage, MadeImage];
    const pushed = await world.pushMade(['7.0'], indexOf([{ image: own }, { image: shared }]));
    const other = await world.pushMade(['7.1'], indexOf([{ image: shared }]));
    const signatures = new Map<string, string>();
    for (const { root } of [own, shared]) {
      const signature = await makeArtifact({ seed: root.digest, subject: root });
      signatures.set(root.digest, signature.root.digest);
      await world.pushReferrer(root, signature);
      await world.pushReferrer(
        signature.root,
        await makeArtifact({ seed: `${root.digest}/2`, subject: signature.root }),
      );
      await world.pushMade([cosignTags(root.digest)[0]!], await makeArtifact({ seed: `${root.digest}/cosign` }));
    }
    const about = (digest: string) => Promise.all([referrersTag(digest), cosignTags(digest)[0]!].map(served));
    await add('other', `${REPOSITORY}:7.1`, other.digest, { expiresAt: new Date(Date.now() + 600_000).toISOString() });
    await add('signed', `${REPOSITORY}:7.0`, pushed.digest);
    await gone('signed');
    expect(await about(own.digest)).toEqual([404, 404]);
    expect(await about(shared.digest)).toEqual([200, 200]);
    const signature = signatures.get(shared.digest)!;
    await add('signature', `${REPOSITORY}@${signature}`, signature);
    await gone('signature');
    expect(await served(referrersTag(signature))).toBe(200);
    await world.bend('other', { expiresAt: new Date(Date.now() - 1_000).toISOString() });
    await gone('other');
    expect(await about(shared.digest)).toEqual([404, 404]);
    expect((await world.tags()).filter((tag) => tag.startsWith('sha256-'))).toEqual([]);
  });

  it('puts back a tag that another image needs', async () => {
    const { digest } = await push([], 'put-back');
    const later = new Date(Date.now() + 600_000).toISOString();
    await add('needs-it', `${REPOSITORY}@${digest}`, digest, { expiresAt: later });
    expect(await served(anchorTag(digest))).toBe(404);
    await add('shares-it', `${REPOSITORY}:8.0@${digest}`, digest);
    await gone('shares-it');
    expect(await served(anchorTag(digest))).toBe(200);
  });

  it('goes on when its leader dies', async () => {
    const pushed = await push(['6.0'], 'takeover');
    const leader = apps.findIndex((app) => app.isLeader());
    await apps.splice(leader, 1)[0]?.close();
    await add('after', `${REPOSITORY}:6.0`, pushed.digest);
    await gone('after');
    expect(apps[0]?.isLeader()).toBe(true);
    expect(await served('6.0')).toBe(404);
  });
});
