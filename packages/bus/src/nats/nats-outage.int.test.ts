import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ACCESS_RECORDS, CREDENTIALS, HOLDERS_CONFIRM, IMAGE_SERVED, IMAGE_STATE, IMAGE_USED } from '@kuik/contracts';
import type { ServiceName } from '@kuik/contracts';
import { startNats } from '@kuik/testbed';
import type { NatsServer } from '@kuik/testbed';
import { nkeys } from 'nats';
import { eventually, served, state, used } from '../conformance/room.ts';
import type { Bus, BusLog, BusStatus } from '../port.ts';
import { connectBus } from './nats-bus.ts';
import { seedFiles } from './seed-files.fixture.ts';

const KEY = 'aaaa.bbbb';

function logTo(lines: string[]): BusLog {
  const line = (message: string): void => void lines.push(message);
  return { debug: () => undefined, info: () => undefined, warn: line, error: line };
}

describe('NATS with the permissions of the contracts', () => {
  let server: NatsServer;
  let seeds: ReturnType<typeof seedFiles>;
  const folder = mkdtempSync(join(tmpdir(), 'kuik-bus-'));
  const open: Bus[] = [];
  const warnings: string[] = [];

  const start = (service: ServiceName, fates: string[] = []): Bus => {
    const count = (subject: string, fate: string): void => void fates.push(`${fate} ${subject}`);
    const bus = connectBus({
      url: server.url,
      service,
      seedFile: seeds.of(service),
      log: logTo(warnings),
      count,
      reconnectMaxMs: 200,
    });
    open.push(bus);
    return bus;
  };
  const up = (bus: Bus): Promise<true> => eventually(() => bus.status() === 'connected' || undefined);

  beforeAll(async () => {
    server = await startNats();
    seeds = seedFiles(server);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((bus) => bus.close()));
    if (!server.running()) await server.restart();
    await server.purge();
    warnings.length = 0;
  });
  afterAll(async () => {
    await server.stop();
    seeds.remove();
    rmSync(folder, { recursive: true });
  });

  it('lets every service do its part of the contracts', async () => {
    const [webhook, watcher, copier, gc, proxy] = [
      start('webhook'),
      start('pod-watcher'),
      start('image-copier'),
      start('gc'),
      start('node-proxy'),
    ];
    const seen: string[] = [];
    watcher.subscribe(IMAGE_USED, (message) => void seen.push(message.images[0]!), { queue: 'q' });
    watcher.respond(HOLDERS_CONFIRM, ({ images }) =>
      Promise.resolve({ images: images.map(({ uid }) => ({ uid, verdict: 'free' as const })) }),
    );
    watcher.respond(CREDENTIALS, () => Promise.resolve({ sealed: 'x' }));
    watcher.consume(IMAGE_SERVED, 'pod-watcher', ({ payload }) => {
      seen.push(payload.node);
      return Promise.resolve({ do: 'ack' });
    });
    const owner = watcher.bucket(IMAGE_STATE, { create: true });
    await Promise.all([webhook, watcher, copier, gc, proxy].map(up));
    await eventually(() => {
      webhook.publish(IMAGE_USED, used('image'));
      return seen.includes('image') || undefined;
    });
    const ask = { host: 'docker.io', repository: 'x', token: 't', publicKey: 'k' };
    expect(
      await gc.request(HOLDERS_CONFIRM, { images: [{ uid: 'u', reference: 'r' }] }, { timeoutMs: 2000 }),
    ).toMatchObject({ images: [{ verdict: 'free' }] });
    expect(await proxy.request(CREDENTIALS, ask, { timeoutMs: 2000 })).toEqual({ sealed: 'x' });
    await eventually(() =>
      proxy.publishDurable(IMAGE_SERVED, served('node')).then(
        () => true as const,
        () => undefined,
      ),
    );
    await eventually(() => seen.includes('node') || undefined);
    const told: (string | undefined)[] = [];
    proxy
      .bucket(IMAGE_STATE)
      .follow((_, entry) => told.push(entry?.value.resourceVersion))
      .add(KEY);
    await owner.put(KEY, state('1'));
    const { revision } = (await copier.bucket(IMAGE_STATE).get(KEY))!;
    expect(await copier.bucket(IMAGE_STATE).compareAndSet(KEY, state('2'), revision)).toBe(revision + 1);
    expect(await gc.bucket(IMAGE_STATE).compareAndSet(KEY, state('3'), revision + 1)).toBe(revision + 2);
    await eventually(() => told.includes('3') || undefined);
    for (const bus of [watcher, copier, gc]) expect(await bus.bucket(IMAGE_STATE).keys()).toEqual([KEY]);
    await owner.delete(KEY);
    await eventually(() => told.at(-1) === undefined || undefined);
    expect(warnings.filter((warning) => warning.includes('denied') || warning.includes('refused'))).toEqual([]);
  });

  it('lets a proxy look up what it can name of a bucket, and nothing else of it', async () => {
    const [watcher, proxy] = [start('pod-watcher'), start('node-proxy')];
    const owner = watcher.bucket(ACCESS_RECORDS, { create: true });
    await Promise.all([up(watcher), up(proxy)]);
    const [key, record] = ['a.b', { repository: 'r', of: 'n/s', proven: 1 }];
    const looking = proxy.bucket(ACCESS_RECORDS);
    expect(await owner.get(key)).toBeUndefined();
    const revision = await owner.put(key, record);
    expect(await looking.get(key)).toEqual({ key, value: record, revision });
    expect(await owner.get(key)).toEqual({ key, value: record, revision });
    expect(await looking.get('a.c')).toBeUndefined();
    await owner.delete(key);
    expect(await looking.get(key)).toBeUndefined();
    expect(warnings).toEqual([]);
    await expect(looking.keys()).rejects.toMatchObject({ name: 'BusError' });
  });

  it('denies the rest: logged once, nothing crashes', async () => {
    const fates: string[] = [];
    const gc = start('gc', fates);
    await up(gc);
    gc.publish(IMAGE_USED, used('forged'));
    gc.publish(IMAGE_USED, used('forged'));
    gc.subscribe(IMAGE_USED, () => undefined);
    await eventually(() => fates.filter((fate) => fate === `denied ${IMAGE_USED.subject}`).length >= 2 || undefined);
    await expect(start('node-proxy').bucket(IMAGE_STATE).put(KEY, state('1'))).rejects.toMatchObject({
      name: 'BusError',
    });
    expect(warnings.filter((warning) => /^NATS (denied|refused)/.test(warning))).toHaveLength(1);
    expect(gc.status()).toBe('connected');
  });

  it('starts while NATS is down and works when it comes', async () => {
    await server.kill();
    const fates: string[] = [];
    const watcher = start('pod-watcher', fates);
    const proxy = start('node-proxy', fates);
    const told: (string | undefined)[] = [];
    const bucket = watcher.bucket(IMAGE_STATE, { create: true });
    proxy
      .bucket(IMAGE_STATE)
      .follow((_, entry) => told.push(entry?.value.resourceVersion))
      .add(KEY);
    const started = performance.now();
    await expect(bucket.get(KEY)).rejects.toMatchObject({ code: 'disconnected', retry: true });
    await expect(proxy.publishDurable(IMAGE_SERVED, served('n'))).rejects.toMatchObject({ code: 'disconnected' });
    expect(performance.now() - started).toBeLessThan(200);
    start('webhook', fates).publish(IMAGE_USED, used('x'));
    expect(fates).toContain(`dropped ${IMAGE_USED.subject}`);
    await server.restart();
    await eventually(() => bucket.put(KEY, state('1')).catch(() => undefined));
    await eventually(() => told.includes('1') || undefined);
  });

  it('goes on after NATS was killed: subscriptions, consumers and followers', async () => {
    const [webhook, watcher, proxy] = [start('webhook'), start('pod-watcher'), start('node-proxy')];
    const statuses: BusStatus[] = [];
    watcher.onStatus((status) => statuses.push(status));
    const seen: string[] = [];
    watcher.subscribe(IMAGE_USED, (message) => void seen.push(message.images[0]!));
    watcher.consume(IMAGE_SERVED, 'pod-watcher', ({ payload }) => {
      seen.push(payload.node);
      return Promise.resolve({ do: 'ack' });
    });
    const bucket = watcher.bucket(IMAGE_STATE, { create: true });
    await Promise.all([webhook, watcher, proxy].map(up));
    await bucket.put(KEY, state('1'));
    const told: (string | undefined)[] = [];
    proxy
      .bucket(IMAGE_STATE)
      .follow((_, entry) => told.push(entry?.value.resourceVersion))
      .add(KEY);
    await eventually(() => told.includes('1') || undefined);
    for (const round of ['a', 'b']) {
      await server.kill();
      await eventually(() => (watcher.status() === 'reconnecting' && proxy.status() === 'reconnecting') || undefined);
      await server.restart();
      // Written by the watcher while the proxy may still be away: its re-read finds it.
      await eventually(() => bucket.put(KEY, state(round)).catch(() => undefined));
      await eventually(() => told.includes(round) || undefined);
      await eventually(() =>
        proxy.publishDurable(IMAGE_SERVED, served(`node-${round}`)).then(
          () => true as const,
          () => undefined,
        ),
      );
      await eventually(() => {
        webhook.publish(IMAGE_USED, used(`image-${round}`));
        return (seen.includes(`image-${round}`) && seen.includes(`node-${round}`)) || undefined;
      });
    }
    expect(statuses).toEqual(['connected', 'reconnecting', 'connected', 'reconnecting', 'connected']);
  });

  it('delivers again what a consumer that died had in hand', async () => {
    const [proxy, dying] = [start('node-proxy'), start('pod-watcher')];
    const quick = { ...IMAGE_SERVED, ackWaitMs: 600 };
    await Promise.all([up(proxy), up(dying)]);
    const seen: number[] = [];
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    dying.consume(quick, 'pod-watcher', async ({ attempt }) => {
      resolve();
      // The first delivery is lost with its process: here, with an error after which nothing is acknowledged.
      if (attempt === 1) return { do: 'retry', afterMs: 300, reason: 'dying' };
      seen.push(attempt);
      return Promise.resolve({ do: 'ack' });
    });
    await eventually(() =>
      proxy.publishDurable(quick, served('n')).then(
        () => true as const,
        () => undefined,
      ),
    );
    await taken;
    await server.kill();
    await server.restart();
    await eventually(() => seen.length > 0 || undefined);
    expect(seen[0]).toBeGreaterThanOrEqual(2);
  });

  it('connects when its seed file is there and right, at last', async () => {
    const file = join(folder, 'seed');
    const start = (): Bus =>
      connectBus({ url: server.url, service: 'gc', seedFile: file, reconnectMaxMs: 50, log: logTo(warnings) });
    const absent = start();
    open.push(absent);
    await eventually(() => warnings.length === 1 || undefined);
    // A user that the server does not know.
    writeFileSync(file, (nkeys as { createUser(): { getSeed(): Uint8Array } }).createUser().getSeed());
    const late = start();
    open.push(late);
    await eventually(() => warnings.length === 2 || undefined);
    expect([absent.status(), late.status()]).toEqual(['reconnecting', 'reconnecting']);
    writeFileSync(file, server.seeds.gc);
    await Promise.all([up(absent), up(late)]);
    expect(warnings.join()).not.toContain('SU');
  });

  it('closes while NATS is down', async () => {
    const bus = start('gc');
    await up(bus);
    bus.subscribe({ ...IMAGE_USED }, () => undefined);
    await server.kill();
    const started = performance.now();
    await bus.close();
    await start('gc').close();
    expect(performance.now() - started).toBeLessThan(5000);
    expect(bus.status()).toBe('closed');
  });
});
