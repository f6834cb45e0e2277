import { describe, expect, it } from '@jest/globals';
import { IMAGE_SERVED, imageServed, type ImageServed } from '@kuik/contracts';
import { sendServed, ServedTally } from './served-report.ts';

const T0 = Date.parse('2026-11-01T00:00:00Z');
const at = (seconds: number) => T0 + seconds * 1000;

describe('what was served', () => {
  it('is counted per image and taken once', () => {
    const tally = new ServedTally(at(0));
    tally.add('a:1', false, at(1));
    tally.add('a:1', true, at(2));
    tally.add('b:1', false, at(3));
    const [message, ...more] = tally.take('node-1', at(60));
    expect(imageServed.parse(message)).toEqual({
      node: 'node-1',
      since: '2026-11-01T00:00:00.000Z',
      images: [
        { reference: 'a:1', pulls: 2, stale: 1, lastPulled: '2026-11-01T00:00:02.000Z' },
        { reference: 'b:1', pulls: 1, stale: 0, lastPulled: '2026-11-01T00:00:03.000Z' },
      ],
    });
    expect(more).toEqual([]);
    expect(tally.take('node-1', at(120))).toEqual([]);
  });

  it('is kept when NATS is away, and added to what comes after', async () => {
    const tally = new ServedTally(at(0));
    tally.add('a:1', true, at(1));
    const away = { publishDurable: () => Promise.reject(new Error('disconnected')) };
    await expect(sendServed(tally, away, 'node-1', at(60))).rejects.toThrow('disconnected');
    tally.add('a:1', false, at(70));
    const sent: ImageServed[] = [];
    const back = {
      publishDurable: async (stream: unknown, payload: ImageServed) => {
        expect(stream).toBe(IMAGE_SERVED);
        sent.push(payload);
      },
    };
    await sendServed(tally, back, 'node-1', at(120));
    expect(sent).toEqual([
      {
        node: 'node-1',
        since: '2026-11-01T00:00:00.000Z',
        images: [{ reference: 'a:1', pulls: 2, stale: 1, lastPulled: '2026-11-01T00:01:10.000Z' }],
      },
    ]);
  });

  it('brings along what the cache did not have, also when nothing was served, and keeps that for the next time', async () => {
    const tally = new ServedTally(at(0));
    const missing = [{ repository: 'a.example/app', digest: 'sha256:x', at: '2026-11-01T00:00:01.000Z' }];
    const away = { publishDurable: () => Promise.reject(new Error('disconnected')) };
    await expect(sendServed(tally, away, 'node-1', at(60), missing)).rejects.toThrow('disconnected');
    const sent: ImageServed[] = [];
    const back = { publishDurable: async (_stream: unknown, payload: ImageServed) => void sent.push(payload) };
    await sendServed(tally, back, 'node-1', at(120));
    await sendServed(tally, back, 'node-1', at(180));
    expect(sent).toEqual([{ node: 'node-1', since: expect.any(String), images: [], missing }]);
  });

  it('is split into messages that the contract takes, and bounded', () => {
    const tally = new ServedTally(at(0));
    const longest = (i: number) => `${'h'.repeat(120)}.test/${'p'.repeat(230)}:${String(i).padStart(128, 't')}`;
    for (let i = 0; i < 10_500; i += 1) tally.add(longest(i), false, at(1));
    expect(tally.dropped).toBe(500);
    const missing = Array.from({ length: 200 }, (_, i) => ({
      repository: 'r'.repeat(512),
      digest: String(i).padStart(160, 'd'),
      at: at(1).toString(),
    }));
    const messages = tally.take('node-1', at(60), missing);
    expect(messages.map(({ images }) => images.length)).toEqual(Array.from({ length: 20 }, () => 500));
    for (const message of messages) {
      expect(JSON.stringify(imageServed.parse(message)).length).toBeLessThan(IMAGE_SERVED.maxBytes);
    }
  });
});
