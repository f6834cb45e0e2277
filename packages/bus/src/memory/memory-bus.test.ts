import { afterEach, describe, expect, it } from '@jest/globals';
import { IMAGE_SERVED, IMAGE_STATE, IMAGE_USED } from '@kuik/contracts';
import { busConformance } from '../bus.conformance.ts';
import { eventually, served, state, used } from '../conformance/room.ts';
import type { Bus } from '../port.ts';
import { memoryBus } from './memory-bus.ts';
import { MemoryServer } from './memory-server.ts';

busConformance('memoryBus', async () => {
  const server = new MemoryServer();
  return {
    connect: async (count) => memoryBus(server, { count }),
    inject: async (subject, bytes) => server.inject(subject, Buffer.from(bytes, 'latin1')),
    loseData: async () => server.loseData(),
    deadLetters: async () => server.deadLetters(IMAGE_SERVED.stream),
    stop: () => Promise.resolve(),
  };
});

describe('memoryBus without its server', () => {
  const open: Bus[] = [];
  afterEach(() => Promise.all(open.splice(0).map((bus) => bus.close())));

  it('drops hints, fails calls, and follows again afterwards', async () => {
    const server = new MemoryServer();
    const fates: string[] = [];
    const bus = memoryBus(server, { count: (_, fate) => fates.push(fate) });
    open.push(bus);
    const bucket = bus.bucket(IMAGE_STATE, { create: true });
    await bucket.put('k', state('1'));
    const told: (string | undefined)[] = [];
    bucket.follow((_, entry) => told.push(entry?.value.resourceVersion)).add('k');
    await eventually(() => told.includes('1') || undefined);
    server.disconnect();
    expect(bus.status()).toBe('reconnecting');
    bus.publish(IMAGE_USED, used('x'));
    expect(fates).toContain('dropped');
    await expect(bucket.get('k')).rejects.toMatchObject({ code: 'disconnected' });
    await expect(bus.publishDurable(IMAGE_SERVED, served('n'))).rejects.toMatchObject({
      code: 'disconnected',
      retry: true,
    });
    server.reconnect();
    await bucket.put('k', state('2'));
    await eventually(() => told.includes('2') || undefined);
  });
});
