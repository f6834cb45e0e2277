import { describe, expect, it } from '@jest/globals';
import type { OnceBytes, Payer } from '../port.ts';
import type { Room } from './room.ts';

const STRANGERS: Payer = { host: 'docker.io' };

/** Content that is read once. */
export function describeOnce(room: Room): void {
  describe('once', () => {
    let keys = 0;
    const freshKey = (): string => `docker.io:sha256:${process.pid}-${(keys += 1)}`;
    const content = (text: string): OnceBytes => ({ mediaType: 'application/x', bytes: Buffer.from(text) });

    it('is read by whoever is first, for everybody, and remembered', async () => {
      const [one, two] = [room.keep(room.bed.createReadOnce()), room.keep(room.bed.createReadOnce())];
      const key = freshKey();
      let reads = 0;
      const fetch = async (): Promise<OnceBytes> => {
        reads += 1;
        await new Promise(setImmediate);
        return content('\u0000once\u00ff');
      };
      const found = await Promise.all([one, two, one, two].map((reader) => reader.read(key, STRANGERS, fetch)));
      expect([reads, found.filter(({ mine }) => mine)]).toEqual([1, [found.find(({ mine }) => mine)]]);
      for (const each of found)
        expect({ ...each, mine: false }).toEqual({ ...content('\u0000once\u00ff'), mine: false });
      const later = await room.keep(room.bed.createReadOnce()).read(key, STRANGERS, fetch);
      expect([reads, later.mine, later.mediaType]).toEqual([1, false, 'application/x']);
    });

    it('a refusal is one reader’s own, a failure that may pass everybody’s who waited for it; neither is remembered', async () => {
      const reader = room.keep(room.bed.createReadOnce());
      const key = freshKey();
      const refused = Object.assign(new Error('refused'), { retry: false });
      const limited = Object.assign(new Error('limited'), { retry: true });
      const [first, second] = await Promise.allSettled([
        reader.read(key, STRANGERS, () => Promise.reject(refused)),
        reader.read(key, STRANGERS, () => Promise.resolve(content('mine'))),
      ]);
      expect([first.status, second.status]).toEqual(['rejected', 'fulfilled']);
      const other = freshKey();
      const never = (): Promise<OnceBytes> => Promise.resolve(content('never'));
      const both = await Promise.allSettled([
        reader.read(other, STRANGERS, () => Promise.reject(limited)),
        reader.read(other, STRANGERS, never),
      ]);
      expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
      expect((await reader.read(other, STRANGERS, () => Promise.resolve(content('now')))).bytes.toString()).toBe('now');
    });

    it('what may pass is no failure of who pays for another read', async () => {
      const reader = room.keep(room.bed.createReadOnce());
      const key = freshKey();
      const limited = Object.assign(new Error('limited'), { retry: true });
      const [strangers, alice] = await Promise.allSettled([
        reader.read(key, STRANGERS, () => Promise.reject(limited)),
        reader.read(key, { ...STRANGERS, account: 'a'.repeat(32) }, () => Promise.resolve(content('hers'))),
      ]);
      expect([strangers.status, alice.status]).toEqual(['rejected', 'fulfilled']);
    });
  });
}
