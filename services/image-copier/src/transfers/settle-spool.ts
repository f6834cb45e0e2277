import type { TransferLeases } from '@kuik/queue';

/** Says in Redis where a spool is to be had, three times per lease; and that it leaves. Waits for nothing to start, never throws. */
export function settleSpool(
  { lockMs, settle }: Pick<TransferLeases, 'lockMs' | 'settle'>,
  spool: string,
  address: () => string,
): { start(): void; close(): Promise<void> } {
  let beat: NodeJS.Timeout | undefined;
  const say = (): void => void settle(spool, address());
  return {
    start() {
      beat = setInterval(say, lockMs / 3).unref();
      say();
    },
    async close() {
      if (beat === undefined) return;
      clearInterval(beat);
      await settle(spool, undefined);
    },
  };
}
