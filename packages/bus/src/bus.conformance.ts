import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import { describeBuckets } from './conformance/buckets.ts';
import { describeClosing } from './conformance/closing.ts';
import { describeCoreSubjects } from './conformance/core-subjects.ts';
import { describeDurableStreams } from './conformance/durable-streams.ts';
import { describeFollowers } from './conformance/followers.ts';
import { describeRequests } from './conformance/requests.ts';
import { Room } from './conformance/room.ts';
import type { Bed } from './conformance/room.ts';

/** What every bus must do; run against real NATS and against the twin. */
export function busConformance(name: string, start: () => Promise<Bed>): void {
  describe(`${name} as a bus`, () => {
    const room = new Room();
    beforeAll(async () => {
      room.bed = await start();
    });
    afterEach(() => room.clear());
    afterAll(() => room.bed.stop());
    describeCoreSubjects(room);
    describeRequests(room);
    describeDurableStreams(room);
    describeBuckets(room);
    describeFollowers(room);
    describeClosing(room);
  });
}
