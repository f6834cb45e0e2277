import { describe, expect, it } from '@jest/globals';
import { Owners } from './owners.ts';

const digestOf = (n: number): string => `sha256:${n.toString(16).padStart(64, '0')}`;
const url = (n: number): string => `http://10.0.0.${n}:7440`;

function three() {
  let nowMs = 0;
  const owners = new Owners(() => nowMs);
  for (const n of [1, 2, 3]) owners.told({ url: url(n) });
  return { owners, at: (ms: number) => (nowMs = ms) };
}

describe('whom a proxy asks for a blob', () => {
  it('is the same one everywhere, and moves only when that one goes', () => {
    const [one, other] = [three().owners, three().owners];
    const digests = Array.from({ length: 300 }, (_, n) => digestOf(n));
    const first = digests.map((digest) => one.order('up.test', digest)[0]);
    expect(digests.map((digest) => other.order('up.test', digest)[0])).toEqual(first);
    for (const n of [1, 2, 3]) expect(first.filter((owner) => owner === url(n)).length).toBeGreaterThan(60);
    other.told({ url: url(2), leaving: true });
    const moved = digests.map((digest) => other.order('up.test', digest)[0]);
    expect(moved.filter((owner, i) => owner !== first[i] && first[i] !== url(2))).toEqual([]);
    expect(moved).not.toContain(url(2));
  });

  it('said a while ago that it is there, or did not', () => {
    const { owners, at } = three();
    at(1_500);
    owners.told({ url: url(2) });
    owners.told({ url: url(3), leaving: true });
    at(2_000);
    expect([1, 2, 3, 4].map((n) => owners.sinceToldMs(url(n)))).toEqual([2_000, 500, undefined, undefined]);
  });

  it('is nobody who was silent, and not for a while who did not answer', () => {
    const { owners, at } = three();
    const [best] = owners.order('up.test', digestOf(7));
    owners.spare(best!);
    expect(owners.order('up.test', digestOf(7))).not.toContain(best);
    expect(owners.order('up.test', digestOf(7), { insist: true }).at(-1)).toBe(best);
    at(5_000);
    owners.told({ url: best! });
    expect(owners.order('up.test', digestOf(7))[0]).toBe(best);
    at(8_000);
    expect([owners.order('up.test', digestOf(7)), owners.known]).toEqual([[best], 1]);
    owners.told({ url: best! });
    expect(owners.trusted).toEqual([new URL(best!).host]);
  });

  it('is who was silent about another registry', () => {
    const { owners } = three();
    const [best] = owners.order('up.test', digestOf(7));
    owners.spare(best!, 'slow.test');
    expect(owners.order('slow.test', digestOf(7))).not.toContain(best);
    expect(owners.order('up.test', digestOf(7))[0]).toBe(best);
    owners.told({ url: best!, instance: 'second' });
    expect(owners.order('slow.test', digestOf(7))).toContain(best);
  });

  it('is who did not answer as soon as another process is there', () => {
    const { owners } = three();
    const [best] = owners.order('up.test', digestOf(7));
    owners.told({ url: best!, instance: 'first' });
    owners.spare(best!);
    owners.told({ url: best!, instance: 'first' });
    expect(owners.order('up.test', digestOf(7))).not.toContain(best);
    owners.told({ url: best!, instance: 'second' });
    expect(owners.order('up.test', digestOf(7))[0]).toBe(best);
  });

  it('says who did not answer, for as long as that counts', () => {
    const { owners, at } = three();
    owners.spare('http://gone.test:7440');
    owners.spare(url(1), 'slow.test');
    expect([owners.spares('http://gone.test:7440'), owners.spares(url(1)), owners.spares(url(1), 'slow.test')]).toEqual(
      [true, false, true],
    );
    at(5_000);
    expect([owners.spares('http://gone.test:7440'), owners.spares(url(1), 'slow.test')]).toEqual([false, false]);
  });

  it('is no address that makes no sense', () => {
    const { owners } = three();
    for (const bad of ['no url', 'file:///etc/passwd', 'https://x.test']) owners.told({ url: bad });
    expect(owners.known).toBe(3);
  });
});
