import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import { describeAway } from './conformance/away.ts';
import { describeClosing } from './conformance/closing.ts';
import { describeJobs } from './conformance/jobs.ts';
import { describeLeases } from './conformance/leases.ts';
import { describeOnce } from './conformance/once.ts';
import { describePaces } from './conformance/paces.ts';
import { Room } from './conformance/room.ts';
import type { Bed } from './conformance/room.ts';
import { describeTimes } from './conformance/times.ts';
import { describeTurnStore } from './conformance/turn-store.ts';
import { describeTurns } from './conformance/turns.ts';

/** What both the adapter and its twin do. */
export function queueConformance(name: string, makeBed: () => Promise<Bed>): void {
  describe(name, () => {
    const room = new Room();
    beforeAll(async () => {
      room.bed = await makeBed();
    });
    afterEach(() => room.closeAll());
    afterAll(() => room.bed.stop());
    describeJobs(room);
    describeClosing(room);
    describePaces(room);
    describeOnce(room);
    describeTimes(room);
    describeTurns(room);
    describeTurnStore(room);
    describeLeases(room);
    describeAway(room);
  });
}
