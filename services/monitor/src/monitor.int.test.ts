import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { connectBus, type Bus } from '@kuik/bus';
import { CREDENTIALS, CRDS, ERROR_CODES, sealCredential, type CachedImage } from '@kuik/contracts';
import { createMetrics, loadConfig, silentLogger, systemClock } from '@kuik/runtime';
import {
  leaseTestbed,
  makeImage,
  serviceIdentity,
  startFaultProxy,
  until,
  type FaultProxy,
  type KubeObject,
  type ServiceIdentity,
  type Stack,
} from '@kuik/testbed';
import { createApp, type MonitorApp } from './app.ts';
import { monitorConfig } from './config.ts';

const NAMESPACE = 'kuik-system';
const IMAGES = '/apis/kuik.enix.io/v1alpha1/cachedimages';
const HOST = 'registry.example.test';
const PRIVATE = 'private.example.test';
const DEAD = 'dead.example.test';
const BUDGET = 40;

let stack: Stack<'controlPlane' | 'nats' | 'redis' | 'upstream'>;
let faults: FaultProxy;
let identity: ServiceIdentity;
let watcher: Bus;
const apps: MonitorApp[] = [];

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane', 'nats', 'redis', 'upstream'] });
  faults = await startFaultProxy({ backingUrl: stack.upstream.url, tls: true, hosts: [HOST, PRIVATE, DEAD] });
  const users = [{ username: 'reader', password: 'secret' }];
  await faults.host(PRIVATE).auth({ scheme: 'basic', users });
  await stack.controlPlane.applyAll(CRDS);
  await stack.controlPlane.namespace(NAMESPACE);
  await stack.controlPlane.applyYaml(chartRole());
  identity = await serviceIdentity(stack, 'monitor');
  const seedFile = path.join(identity.folder, 'watcher.nkey');
  await writeFile(seedFile, stack.nats.seeds['pod-watcher'], { mode: 0o600 });
  watcher = connectBus({ url: stack.nats.url, service: 'pod-watcher', seedFile });
  const value = `Basic ${Buffer.from('reader:secret').toString('base64')}`;
  watcher.respond(CREDENTIALS, ({ host, publicKey }) =>
    Promise.resolve({
      sealed: sealCredential(
        host === PRIVATE ? { kind: 'header', value, expiresAtMs: Date.now() + 60_000 } : { kind: 'anonymous' },
        publicKey,
      ),
    }),
  );
  await Promise.all([start('monitor-1'), start('monitor-2')]);
  await until(() => apps.some((app) => app.isLeader()), { what: 'a leader' });
}, 120_000);

afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await watcher?.close();
  await faults?.close();
  await stack?.stop();
});

afterEach(async () => {
  for (const host of [HOST, PRIVATE, DEAD]) faults.host(host).clear();
  for (const image of await stack.controlPlane.api.list(IMAGES)) {
    await stack.controlPlane.api.delete(`${IMAGES}/${image.metadata.name}`);
  }
});

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../charts/kube-image-keeper/charts/monitor/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *labels: \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}

const configOf = (replica: string): string => path.join(identity.folder, replica, 'config.json');

function settingsOf(replica: string, registries: object = faults.registries()): object {
  const { nats, redis, kubeconfig, brokerTokenFile } = identity;
  return {
    http: { host: '127.0.0.1', port: 0 },
    nats,
    redis,
    kube: { kubeconfig },
    lease: { namespace: NAMESPACE, identity: replica, duration: '2s', renew: '400ms' },
    broker: { tokenFile: brokerTokenFile },
    registries,
    monitor: { interval: '1h', budgetPerInterval: BUDGET, timeout: '1s', idle: '50ms' },
  };
}

async function start(replica: string): Promise<void> {
  // In a folder of its own: whoever follows a file looks at its folder.
  const file = configOf(replica);
  await mkdir(path.dirname(file));
  await writeFile(file, JSON.stringify(settingsOf(replica)));
  const load = () => loadConfig({ name: 'monitor', schema: monitorConfig, env: {}, file });
  const metrics = createMetrics({ service: 'monitor', defaults: false });
  const context = { name: 'monitor', log: silentLogger, metrics, clock: systemClock, source: { file, load } };
  const app = createApp(load(), context);
  apps.push(app);
  await app.start();
}

/** A resource as the copier leaves it, copied so long ago that its check is due. */
async function add(name: string, sourceImage: string, digest?: string): Promise<void> {
  const type = { apiVersion: 'kuik.enix.io/v1alpha1', kind: 'CachedImage' };
  const created = await stack.controlPlane.api.create(IMAGES, { ...type, metadata: { name }, spec: { sourceImage } });
  const forUid = created.metadata.uid;
  const long = new Date(Date.now() - 86_400_000).toISOString();
  const cache =
    digest === undefined
      ? { forUid, error: { code: 'KUIK-REG-404', message: 'not there', at: long } }
      : { forUid, digest, copiedAt: long };
  await stack.controlPlane.api.apply(
    { ...type, metadata: { name }, status: { cache } },
    { fieldManager: 'test', subresource: 'status' },
  );
}

const upstreamOf = async (name: string) =>
  (await stack.controlPlane.api.get<KubeObject & CachedImage>(`${IMAGES}/${name}`)).status?.upstream;
const recorded = (name: string) => until(() => upstreamOf(name), { what: `the check of ${name}`, timeoutMs: 15_000 });

describe('monitor on a real API server, Redis, NATS and upstream', () => {
  it('sees what is there by one HEAD, what moved, and what came back before its first copy', async () => {
    const image = await makeImage({ seed: 'one' });
    const other = await makeImage({ seed: 'other' });
    await faults.push(HOST, 'shop', ['1', '2', '3'], image);
    await faults.push(HOST, 'shop', ['other'], other);
    faults.host(HOST).moveTag('shop', '2', other.digest);
    faults.log.reset();
    await add('same', `${HOST}/shop:1`, image.digest);
    await add('moved', `${HOST}/shop:2`, image.digest);
    await add('back', `${HOST}/shop:3`);
    expect(await recorded('same')).toMatchObject({ state: 'Available', digest: image.digest });
    expect(await recorded('moved')).toMatchObject({ state: 'Moved', digest: other.digest });
    expect(await recorded('back')).toMatchObject({ state: 'Available', digest: image.digest });
    // A digest that was not known is looked for once.
    expect(
      faults.log
        .requests({ host: HOST })
        .map(({ method, kind }) => `${method} ${kind}`)
        .sort(),
    ).toEqual([
      'HEAD manifest-digest',
      'HEAD manifest-digest',
      'HEAD manifest-tag',
      'HEAD manifest-tag',
      'HEAD manifest-tag',
    ]);
  });

  it.each([
    ['gone', 'Deleted', 'KUIK-REG-404'],
    ['unauthorized', 'Unauthorized', 'KUIK-REG-401'],
    ['forbidden', 'Unauthorized', 'KUIK-REG-403'],
    ['serverError', 'Error', 'KUIK-REG-502'],
  ] as const)('records an upstream that answers %s as %s', async (fault, state, code) => {
    const tag = `fault-${fault.toLowerCase()}`;
    faults.host(HOST).on({ repository: 'faulty', reference: tag })[fault]();
    await add(tag, `${HOST}/faulty:${tag}`, `sha256:${'a'.repeat(64)}`);
    expect(await recorded(tag)).toMatchObject({ state, error: { code } });
  });

  it('reads private images with the credential of the broker', async () => {
    const image = await makeImage({ seed: 'private' });
    await faults.push(PRIVATE, 'secret/app', ['1'], image);
    await add('private', `${PRIVATE}/secret/app:1`, image.digest);
    expect(await recorded('private')).toMatchObject({ state: 'Available' });
  });

  it('is not held up by a registry that never answers', async () => {
    const image = await makeImage({ seed: 'beside' });
    await faults.push(HOST, 'beside', ['1'], image);
    faults.host(DEAD).on().hang();
    for (let index = 0; index < 3; index++) await add(`dead-${index}`, `${DEAD}/a:${index}`, image.digest);
    await add('beside', `${HOST}/beside:1`, image.digest);
    expect(await recorded('beside')).toMatchObject({ state: 'Available' });
    await until(
      async () => {
        const states = await Promise.all([0, 1, 2].map((index) => upstreamOf(`dead-${index}`)));
        return states.some((upstream) => upstream?.state === 'Unreachable');
      },
      { what: 'the dead registry to be recorded' },
    );
    expect(faults.log.requests({ host: DEAD })).toHaveLength(1);
  });

  it('asks upstream as its configuration file says now, without a restart', async () => {
    const image = await makeImage({ seed: 'configured' });
    await faults.push(HOST, 'configured', ['1', '2'], image);
    const registries = faults.registries();
    const { ca: _ca, ...distrusted } = registries[HOST]!;
    const pages = () =>
      Promise.all(apps.map(async (app) => (await fetch(`http://127.0.0.1:${app.healthPort}/metrics`)).text()));
    const change = async (changed: object, count: number) => {
      for (const replica of ['monitor-1', 'monitor-2'])
        await writeFile(configOf(replica), JSON.stringify(settingsOf(replica, changed)));
      const taken = new RegExp(`kuik_settings_reload_total\\{result="applied"[^}]*\\} ${count}`);
      await until(async () => (await pages()).every((page) => taken.test(page)), { what: 'the changed settings' });
    };
    await change({ ...registries, [HOST]: distrusted }, 1);
    await add('distrusted', `${HOST}/configured:1`, image.digest);
    const before = await recorded('distrusted');
    await change(registries, 2);
    await add('trusted', `${HOST}/configured:2`, image.digest);
    expect(before.error?.code).toBe(ERROR_CODES.tls.code);
    expect(await recorded('trusted')).toMatchObject({ state: 'Available' });
  });

  it('leaves a registry alone for as long as it says, and then asks again', async () => {
    const image = await makeImage({ seed: 'limited' });
    await faults.push(HOST, 'limited', ['1', '2'], image);
    const limit = faults.host(HOST).on({ repository: 'limited' }).rateLimited({ retryAfter: 2 }).times(1);
    await add('limited-1', `${HOST}/limited:1`, image.digest);
    await add('limited-2', `${HOST}/limited:2`, image.digest);
    await limit.untilApplied();
    const states = () => Promise.all(['limited-1', 'limited-2'].map(async (name) => (await upstreamOf(name))?.state));
    await until(async () => (await states()).includes('RateLimited'), { what: 'the limit to be recorded' });
    await until(async () => (await states()).every((state) => state === 'Available'), { what: 'both to be checked' });
    const [first, ...rest] = faults.log
      .requests({ host: HOST })
      .filter(({ repository }) => repository === 'limited' && true);
    expect(rest.filter(({ kind }) => kind === 'manifest-tag')).toHaveLength(2);
    expect(rest[0]!.atMs - first!.atMs).toBeGreaterThanOrEqual(1_900);
  });

  it('keeps to its budget when its leader dies, and checks nothing twice', async () => {
    const image = await makeImage({ seed: 'budget' });
    await faults.push(HOST, 'budget', ['1', '2'], image);
    await add('before', `${HOST}/budget:1`, image.digest);
    await recorded('before');
    const leader = apps.findIndex((app) => app.isLeader());
    await apps.splice(leader, 1)[0]?.close();
    await add('after', `${HOST}/budget:2`, image.digest);
    await recorded('after');
    const asked = faults.log
      .requests({ host: HOST })
      .filter(({ repository, method }) => repository === 'budget' && method === 'HEAD');
    expect(asked.map(({ reference }) => reference)).toEqual(['1', '2']);
    const page = await (await fetch(`http://127.0.0.1:${apps[0]!.healthPort}/metrics`)).text();
    const left = Number(/kuik_monitor_budget_left\{host="registry\.example\.test"\} (\d+)/.exec(page)?.[1]);
    // What both leaders have asked of this registry, in all of the tests above.
    expect(left).toBeLessThan(BUDGET - 8);
  });
});
