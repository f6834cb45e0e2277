import { expect, it } from '@jest/globals';
import { IMAGE_USED } from '@kuik/contracts';
import { SERVED, used } from './room.ts';
import type { Room } from './room.ts';

/** How a bus ends. */
export function describeClosing(room: Room): void {
  it('ends cleanly, twice', async () => {
    const bus = await room.connect();
    bus.subscribe(IMAGE_USED, () => undefined);
    const consumer = bus.consume(SERVED, 'watcher', async () => ({ do: 'ack' }));
    await Promise.all([bus.close(), bus.close()]);
    await consumer.stop();
    expect(bus.status()).toBe('closed');
    bus.publish(IMAGE_USED, used('x'));
    expect(room.fates).toContain(`dropped ${IMAGE_USED.subject}`);
  });
}
