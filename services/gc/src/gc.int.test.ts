import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { connectBus, type Bus } from '@kuik/bus';
import {
  CRDS,
  FINALIZER,
  HOLDERS_CONFIRM,
  IMAGE_STATE,
  project,
  type CachedImage,
  type CachedImageStatus,
  type HoldersConfirmReply,
} from '@kuik/contracts';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@kuik/runtime';
import {
  leaseTestbed,
  makeImage,
  pushImage,
  serviceIdentity,
  until,
  type KubeObject,
  type ServiceIdentity,
  type Stack,
} from '@kuik/testbed';
import { createApp, type GcApp } from './app.ts';
import { gcConfig } from './config.ts';

const NAMESPACE = 'kuik-system';
const IMAGES = '/apis/kuik.enix.io/v1alpha1/cachedimages';
const REPOSITORY = 'registry.example.test/shop';
const GRACE_MS = 300;

let stack: Stack<'controlPlane' | 'nats' | 'cache'>;
let identity: ServiceIdentity;
let watcher: Bus;
let holders: HoldersConfirmReply['images'][number]['verdict'] = 'free';
const apps: GcApp[] = [];

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane', 'nats', 'cache'] });
  await stack.controlPlane.applyAll(CRDS);
  await stack.controlPlane.namespace(NAMESPACE);
  await stack.controlPlane.applyYaml(chartRole());
  identity = await serviceIdentity(stack, 'gc');
  const seedFile = path.join(identity.folder, 'watcher.nkey');
  await writeFile(seedFile, stack.nats.seeds['pod-watcher'], { mode: 0o600 });
  watcher = connectBus({ url: stack.nats.url, service: 'pod-watcher', seedFile });
  const states = watcher.bucket(IMAGE_STATE, { create: true });
  await until(async () => (await states.keys()).length === 0, { what: 'the bucket of states' });
  watcher.respond(HOLDERS_CONFIRM, ({ images }) =>
    Promise.resolve({ images: images.map(({ uid }) => ({ uid, verdict: holders })) }),
  );
  await Promise.all([start('gc-1'), start('gc-2')]);
  await until(() => apps.some((app) => app.isLeader()), { what: 'a leader' });
}, 120_000);

afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await watcher?.close();
  await stack?.stop();
});

beforeEach(() => {
  holders = 'free';
});

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../charts/kube-image-keeper/charts/gc/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *labels: \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}

async function start(replica: string): Promise<void> {
  const file = path.join(identity.folder, `${replica}.json`);
  const { nats, cache, kubeconfig } = identity;
  const http = { host: '127.0.0.1', port: 0 };
  const lease = { namespace: NAMESPACE, identity: replica, durationMs: 2_000, renewMs: 400, retryMs: 200 };
  const removal = { graceMs: GRACE_MS, confirmTimeoutMs: 1_000, checkMs: 50 };
  await writeFile(file, JSON.stringify({ http, nats, cache, kube: { kubeconfig }, lease, removal }));
  const config = loadConfig({ name: 'gc', schema: gcConfig, env: {}, file });
  const metrics = createMetrics({ service: 'gc', defaults: false });
  const app = createApp(config, { name: 'gc', log: silentLogger, metrics, clock: systemClock });
  apps.push(app);
  await app.start();
}

/** A resource as pod-watcher and copier leave it: unused and expired, unless told otherwise. */
async function add(
  name: string,
  sourceImage: string,
  digest: string,
  status: CachedImageStatus = {},
): Promise<CachedImage> {
  const type = { apiVersion: 'kuik.enix.io/v1alpha1', kind: 'CachedImage' };
  const client = stack.controlPlane.api;
  const created = await client.create<never>(IMAGES, {
    ...type,
    metadata: { name, finalizers: [FINALIZER] },
    spec: { sourceImage },
  });
  const forUid = (created as CachedImage).metadata.uid;
  const applied = await client.apply(
    {
      ...type,
      metadata: { name },
      status: {
        usedBy: { forUid, count: 0 },
        expiresAt: new Date(Date.now() - 1_000).toISOString(),
        cache: { forUid, digest, bytes: 4096, copiedAt: new Date(Date.now() - 60_000).toISOString() },
        ...status,
      },
    },
    { fieldManager: 'test', subresource: 'status' },
  );
  return applied as unknown as CachedImage;
}

const find = (name: string) => stack.controlPlane.api.find<KubeObject & CachedImage>(`${IMAGES}/${name}`);
const gone = (name: string) =>
  until(async () => (await find(name)) === undefined, { what: `${name} to be gone`, timeoutMs: 15_000 });

async function push(tags: string[], seed: string) {
  const authorization = stack.cache.authorization('writer', [{ repository: REPOSITORY, actions: ['pull', 'push'] }]);
  return pushImage(stack.cache.writerUrl, REPOSITORY, tags, await makeImage({ seed }), { authorization });
}

/** Status of a manifest request to the reading side. */
async function served(reference: string): Promise<number> {
  const authorization = stack.cache.authorization('reader', [{ repository: REPOSITORY, actions: ['pull'] }]);
  const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json';
  const answer = await fetch(`${stack.cache.readerUrl}/v2/${REPOSITORY}/manifests/${reference}`, {
    headers: { authorization, accept },
  });
  await answer.arrayBuffer();
  return answer.status;
}

const eventsOn = async (name: string): Promise<string[]> => {
  const events = await stack.controlPlane.api.list('/apis/events.k8s.io/v1/namespaces/default/events');
  return events
    .filter((event) => (event['regarding'] as { name?: string }).name === name)
    .map((event) => event['reason'] as string);
};

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
    holders = 'unknown';
    const image = await add('used', `${REPOSITORY}:2.0`, pushed.digest);
    const { key } = project(image)!;
    const states = watcher.bucket(IMAGE_STATE);
    await until(async () => (await states.get(key))?.value.condemned === true, { what: 'word of the condemnation' });
    await stack.controlPlane.api.request(
      'PATCH',
      `${IMAGES}/used/status`,
      { status: { usedBy: { count: 1 } } },
      { contentType: 'application/merge-patch+json' },
    );
    await until(async () => (await find('used'))?.status?.removal === undefined, { what: 'the image to be kept' });
    await until(async () => (await states.get(key))?.value.condemned === undefined, { what: 'word that it is kept' });
    expect(await served('2.0')).toBe(200);
  });

  it('leaves the bytes of a deleted image that is in use, and takes those of one that is not', async () => {
    const pushed = await push(['3.0', '3.1'], 'deleted');
    holders = 'held';
    await add('held', `${REPOSITORY}:3.0`, pushed.digest, { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    await stack.controlPlane.api.delete(`${IMAGES}/held`);
    await gone('held');
    expect(await served('3.0')).toBe(200);
    holders = 'free';
    await add('free', `${REPOSITORY}:3.1`, pushed.digest, { expiresAt: new Date(Date.now() + 60_000).toISOString() });
    await stack.controlPlane.api.delete(`${IMAGES}/free`);
    await gone('free');
    expect(await served('3.1')).toBe(404);
    expect(await served('3.0')).toBe(200);
  });

  it('waits for a cache registry that is away, with the finalizer in place', async () => {
    const pushed = await push(['4.0'], 'away');
    await stack.cache.writer.kill();
    await add('waiting', `${REPOSITORY}:4.0`, pushed.digest);
    await until(async () => (await find('waiting'))?.status?.removal?.removedAt !== undefined, {
      what: 'its removal to begin',
    });
    expect((await find('waiting'))?.metadata.finalizers).toEqual([FINALIZER]);
    await stack.cache.writer.restart();
    await gone('waiting');
    expect(await served('4.0')).toBe(404);
  });

  it('removes nothing while nobody answers who holds it', async () => {
    const pushed = await push(['5.0'], 'silent');
    holders = 'unknown';
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
    holders = 'free';
    await gone('silent');
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
