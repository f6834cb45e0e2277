import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import type { Consumer, JsMsg, NatsConnection } from 'nats';
import { eventually, SERVED, served } from '../conformance/room.ts';
import { Reports } from '../reports.ts';
import { DurableConsumer } from './durable-consumer.ts';
import type { Link } from './link.ts';
import type { OwnedStreams } from './owned-streams.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** A consumer of whatever `next` gives. */
function consuming(next: () => Promise<JsMsg | null>): DurableConsumer<unknown> {
  const consumer = { next } as unknown as Consumer;
  const connection = {
    jetstream: () => ({ consumers: { get: () => Promise.resolve(consumer) } }),
  } as unknown as NatsConnection;
  const link = { connection: () => connection } as unknown as Link;
  const streams = { ensure: () => Promise.resolve() } as unknown as OwnedStreams;
  return new DurableConsumer<unknown>({ link, streams, reports: new Reports({}) }, SERVED, 'watcher', () =>
    Promise.resolve({ do: 'ack' }),
  );
}

function message(settle: Partial<JsMsg> = {}): JsMsg {
  const data = Buffer.from(JSON.stringify(served('n')));
  return { data, info: { deliveryCount: 1 }, working: () => undefined, ack: () => undefined, ...settle } as JsMsg;
}

describe('a durable consumer', () => {
  it('keeps nothing of the messages that it has settled', async () => {
    const settled: WeakRef<JsMsg>[] = [];
    const consumer = consuming(() => {
      if (settled.length === 200) return new Promise(() => undefined);
      const one = message();
      settled.push(new WeakRef(one));
      return Promise.resolve(one);
    });
    await eventually(() => settled.length === 200 || undefined);
    await new Promise(setImmediate);
    collectGarbage();
    const kept = settled.filter((one) => one.deref() !== undefined).length;
    await consumer.stop();
    expect(kept).toBeLessThan(10);
  });

  it('that has stopped is not troubled by a message that comes when the connection is closed already', async () => {
    const pulled = Promise.withResolvers<JsMsg | null>();
    let pulls = 0;
    const consumer = consuming(() => {
      pulls += 1;
      return pulled.promise;
    });
    await eventually(() => pulls === 1 || undefined);
    await consumer.stop();
    let tried = 0;
    pulled.resolve(
      message({
        nak: () => {
          tried += 1;
          throw new Error('CONNECTION_CLOSED');
        },
      }),
    );
    await eventually(() => tried === 1 || undefined);
    // A rejection that nobody handles fails the test here.
    await new Promise(setImmediate);
    expect(tried).toBe(1);
  });
});
