import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  CREDENTIALS,
  IMAGE_SERVED,
  IMAGE_STATE,
  IMAGE_USED,
  inboxPrefix,
  type ServiceName,
  nkeyAnswer,
} from '@kuik/contracts';
import { connect, type NatsConnection } from 'nats';
import type { NatsServer } from '../port.ts';
import { until } from '../process/until.ts';
import { startNats } from './nats.ts';

let server: NatsServer;
const connections: NatsConnection[] = [];

beforeAll(async () => {
  server = await startNats();
});
afterEach(async () => {
  await Promise.all(connections.splice(0).map((connection) => connection.close()));
});
afterAll(() => server.stop());

async function connectAs(service: ServiceName | 'test'): Promise<NatsConnection> {
  const seed = service === 'test' ? server.testSeed : server.seeds[service];
  const connection = await connect({
    servers: server.url,
    authenticator: (nonce) => nkeyAnswer(seed, nonce),
    inboxPrefix: service === 'test' ? '_INBOX_test' : inboxPrefix(service),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
  connections.push(connection);
  return connection;
}

/** The next permission violation that the server reports to this connection. */
async function nextRefusal(connection: NatsConnection): Promise<string> {
  for await (const status of connection.status()) {
    if (status.permissionContext) return `${status.permissionContext.operation} ${status.permissionContext.subject}`;
  }
  return 'closed';
}

describe('startNats', () => {
  it('knows nobody without a key', async () => {
    await expect(connect({ servers: server.url, maxReconnectAttempts: 0 })).rejects.toThrow(/authorization/i);
  });

  it('carries a hint from its publisher to its subscriber, and refuses everybody else', async () => {
    const watcher = await connectAs('pod-watcher');
    const webhook = await connectAs('webhook');
    const copier = await connectAs('image-copier');
    const heard = watcher.subscribe(IMAGE_USED.subject, { max: 1 });
    await watcher.flush();
    const refusal = nextRefusal(copier);
    copier.publish(IMAGE_USED.subject, 'forged');
    webhook.publish(IMAGE_USED.subject, 'real');
    for await (const message of heard) expect(message.string()).toBe('real');
    expect(await refusal).toBe(`publish ${IMAGE_USED.subject}`);
  });

  it('lets a responder answer into the inbox of the requester alone', async () => {
    const watcher = await connectAs('pod-watcher');
    const proxy = await connectAs('node-proxy');
    watcher.subscribe(CREDENTIALS.subject, { callback: (_error, message) => void message.respond('sealed') });
    await watcher.flush();
    const reply = await proxy.request(CREDENTIALS.subject, 'ask', { timeout: 2_000 });
    expect(reply.string()).toBe('sealed');

    const gc = await connectAs('gc');
    const refusal = nextRefusal(gc);
    gc.subscribe(`${inboxPrefix('node-proxy')}.>`);
    expect(await refusal).toBe(`subscription ${inboxPrefix('node-proxy')}.>`);
  });

  it('lets the owner make a bucket, writers write, readers read and follow, and others do neither', async () => {
    const owner = await connectAs('pod-watcher');
    const bucket = await owner.jetstream().views.kv(IMAGE_STATE.bucket, { history: 1 });
    await bucket.put('0123.4567', 'one');

    const proxy = await connectAs('node-proxy');
    const followed = proxy.subscribe(`$KV.${IMAGE_STATE.bucket}.0123.4567`, { max: 1 });
    const seen = await proxy.jetstream().views.kv(IMAGE_STATE.bucket, { bindOnly: true });
    expect((await seen.get('0123.4567'))?.string()).toBe('one');

    const copier = await connectAs('image-copier');
    const written = await copier.jetstream().views.kv(IMAGE_STATE.bucket, { bindOnly: true });
    await written.update('0123.4567', 'two', 1);
    for await (const message of followed) expect(message.string()).toBe('two');

    await expect(seen.put('0123.4567', 'three')).rejects.toThrow();
    const webhook = await connectAs('webhook');
    const refusal = nextRefusal(webhook);
    webhook.subscribe(`$KV.${IMAGE_STATE.bucket}.>`);
    expect(await refusal).toBe(`subscription $KV.${IMAGE_STATE.bucket}.>`);
  });

  it('lets the consumers of a durable stream make it, consume and acknowledge', async () => {
    const watcher = await connectAs('pod-watcher');
    const streams = await watcher.jetstreamManager();
    await streams.streams.add({ name: IMAGE_SERVED.stream, subjects: [IMAGE_SERVED.subject] });
    await streams.consumers.add(IMAGE_SERVED.stream, { durable_name: 'pod-watcher', ack_policy: 'explicit' as never });
    const proxy = await connectAs('node-proxy');
    await proxy.jetstream().publish(IMAGE_SERVED.subject, 'served');
    const consumer = await watcher.jetstream().consumers.get(IMAGE_SERVED.stream, 'pod-watcher');
    const message = await consumer.next({ expires: 2_000 });
    expect(message?.string()).toBe('served');
    expect(await message?.ackAck()).toBe(true);
  });

  it('keeps port and streams over SIGKILL and restart; purge empties it', async () => {
    const test = await connectAs('test');
    // A request that was lost with the server is given up soon.
    const streams = await test.jetstreamManager({ timeout: 1_000 });
    await streams.streams.add({ name: 'kept', subjects: ['kept'] });
    await server.kill();
    expect(server.running()).toBe(false);
    await server.restart();
    const after = await until(() => streams.streams.info('kept'), {
      what: 'the stream after the restart',
      timeoutMs: 30_000,
    });
    expect(after.config.name).toBe('kept');
    await server.purge();
    await expect(streams.streams.info('kept')).rejects.toThrow(/not found/);
  });
});
