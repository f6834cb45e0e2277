import { describe, expect, it } from '@jest/globals';
import { IMAGE_SERVED, imageServed, type ImageServed } from '@kuik/contracts';
import { ServedReport, ServedTally } from './served-report.ts';

const T0 = Date.parse('2026-11-01T00:00:00Z');
const at = (seconds: number) => T0 + seconds * 1000;

/** A stream that knows messages again by their id, and may not say that it stored one. */
function world() {
  const sent: ImageServed[] = [];
  const known = new Set<string>();
  const nats = { answers: 'yes' as 'yes' | 'nothing' | 'too late' };
  const sink = {
    publishDurable: async (stream: unknown, payload: ImageServed, { dedupId }: { dedupId: string }) => {
      expect(stream).toBe(IMAGE_SERVED);
      if (nats.answers === 'nothing') throw new Error('disconnected');
      if (!known.has(dedupId)) sent.push(payload);
      known.add(dedupId);
      if (nats.answers === 'too late') throw new Error('timeout');
    },
  };
  const tally = new ServedTally(at(0));
  return { tally, report: new ServedReport(tally, sink, 'node-1'), sent, nats };
}

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

  it('is kept when NATS is away, and goes before what comes after', async () => {
    const { tally, report, sent, nats } = world();
    tally.add('a:1', true, at(1));
    nats.answers = 'nothing';
    await expect(report.send(at(60))).rejects.toThrow('disconnected');
    tally.add('a:1', false, at(70));
    nats.answers = 'yes';
    await report.send(at(120));
    expect(sent.map(({ since, images }) => [since, images])).toEqual([
      ['2026-11-01T00:00:00.000Z', [{ reference: 'a:1', pulls: 1, stale: 1, lastPulled: '2026-11-01T00:00:01.000Z' }]],
      ['2026-11-01T00:01:00.000Z', [{ reference: 'a:1', pulls: 1, stale: 0, lastPulled: '2026-11-01T00:01:10.000Z' }]],
    ]);
  });

  it('counts once when the acknowledgement alone was lost', async () => {
    const { tally, report, sent, nats } = world();
    tally.add('a:1', false, at(1));
    nats.answers = 'too late';
    await expect(report.send(at(60))).rejects.toThrow('timeout');
    tally.add('a:1', false, at(70));
    await expect(report.send(at(120))).rejects.toThrow('timeout');
    nats.answers = 'yes';
    await report.send(at(180));
    expect(sent.flatMap(({ images }) => images.map(({ pulls }) => pulls))).toEqual([1, 1]);
  });

  it('is counted with the rest when the stream may have forgotten it', async () => {
    const { tally, report, sent, nats } = world();
    tally.add('a:1', false, at(1));
    nats.answers = 'nothing';
    await expect(report.send(at(60))).rejects.toThrow('disconnected');
    tally.add('a:1', false, at(70));
    nats.answers = 'yes';
    await report.send(at(60) + IMAGE_SERVED.dedupMs);
    expect(sent.map(({ images }) => images.map(({ pulls }) => pulls))).toEqual([[2]]);
  });

  it('brings along what the cache did not have, also when nothing was served, and keeps that for the next time', async () => {
    const { report, sent, nats } = world();
    const missing = [{ repository: 'a.example/app', digest: 'sha256:x', at: '2026-11-01T00:00:01.000Z' }];
    nats.answers = 'nothing';
    await expect(report.send(at(60), missing)).rejects.toThrow('disconnected');
    nats.answers = 'yes';
    await report.send(at(120));
    await report.send(at(180));
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
