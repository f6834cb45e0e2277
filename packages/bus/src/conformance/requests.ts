import { describe, expect, it } from '@jest/globals';
import { HOLDERS_CONFIRM } from '@kuik/contracts';
import { eventually } from './room.ts';
import type { Room } from './room.ts';

/** Who answers a question, and how one fails. */
export function describeRequests(room: Room): void {
  describe('requests', () => {
    const question = { images: [{ uid: 'u', reference: 'docker.io/library/nginx:1' }] };
    const reply = { images: [{ uid: 'u', verdict: 'free' as const }] };

    it('are answered by the one who knows; the others stay silent', async () => {
      const [a, leader, follower] = [await room.connect(), await room.connect(), await room.connect()];
      follower.respond(HOLDERS_CONFIRM, async () => undefined);
      leader.respond(HOLDERS_CONFIRM, async (asked) => ({
        images: asked.images.map(({ uid }) => ({ uid, verdict: 'free' as const })),
      }));
      const answer = await eventually(() =>
        a.request(HOLDERS_CONFIRM, question, { timeoutMs: 500 }).catch(() => undefined),
      );
      expect(answer).toEqual(reply);
    });

    it('fail with a code when nobody is there, nobody answers, or the answer does not fit', async () => {
      const [a, b] = [await room.connect(), await room.connect()];
      const ask = (): Promise<unknown> =>
        a.request(HOLDERS_CONFIRM, question, { timeoutMs: 100 }).catch((error: unknown) => error);
      expect(await ask()).toMatchObject({ code: 'no-responders', retry: true });
      const silent = b.respond(HOLDERS_CONFIRM, async () => undefined);
      await eventually(async () => ((await ask()) as { code: string }).code === 'timeout' || undefined);
      await silent.stop();
      b.respond(HOLDERS_CONFIRM, () => Promise.reject(new Error('a bug')));
      await eventually(
        async () => (await ask()) && (room.fates.includes(`failed ${HOLDERS_CONFIRM.subject}`) || undefined),
      );
      await expect(a.request(HOLDERS_CONFIRM, { images: [] }, { timeoutMs: 100 })).rejects.toMatchObject({
        code: 'invalid-payload',
      });
    });
  });
}
