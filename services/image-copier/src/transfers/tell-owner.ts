import type { Bus } from '@kuik/bus';
import { TRANSFER_OWNER_EVERY_MS, TRANSFER_OWNERS } from '@kuik/contracts';
import type { Part } from '@kuik/runtime';

/** Says over NATS where this copier gives away what it reads, every two seconds; and that it leaves. */
export function tellOwner(
  bus: Pick<Bus, 'publish' | 'onStatus'>,
  url: () => string,
  instance: string,
  everyMs = TRANSFER_OWNER_EVERY_MS,
): Part {
  let beat: NodeJS.Timeout | undefined;
  const tell = (leaving: boolean): void =>
    bus.publish(TRANSFER_OWNERS, leaving ? { url: url(), instance, leaving } : { url: url(), instance });
  return {
    name: 'tell-owner',
    start() {
      tell(false);
      // What was said before there was a connection was dropped.
      bus.onStatus((status) => {
        if (status === 'connected' && beat !== undefined) tell(false);
      });
      beat = setInterval(() => tell(false), everyMs);
      return Promise.resolve();
    },
    close() {
      if (beat === undefined) return Promise.resolve();
      clearInterval(beat);
      tell(true);
      return Promise.resolve();
    },
  };
}
