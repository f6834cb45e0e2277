import { describe, expect, it } from '@jest/globals';
import { EventFold } from './event-fold.ts';

const said = (name: string, message = 'm') => ({
  object: { metadata: { name, uid: `uid-${name}`, resourceVersion: '1' } },
  type: 'Normal' as const,
  reason: 'Copied',
  message,
});
const DATE = new Date(0);

describe('EventFold', () => {
  it.each([
    ['the same', [said('a'), said('a')], 1],
    ['another object', [said('a'), said('b')], 2],
    ['another message', [said('a', 'x'), said('a', 'y')], 2],
    ['another type', [said('a'), { ...said('a'), type: 'Warning' as const }], 2],
    ['another reason', [said('a'), { ...said('a'), reason: 'Kept' }], 2],
  ])('folds %s', (_, events, expected) => {
    const fold = new EventFold({ windowMs: 100, maxPending: 10, maxKnown: 40 });
    for (const each of events) fold.add(each, 0, DATE);
    const taken = fold.take();
    expect(taken).toHaveLength(expected);
    expect(taken.reduce((sum, { count }) => sum + count, 0)).toBe(2);
    expect(fold.take()).toEqual([]);
  });

  it('counts on within the window, also after taking, and begins anew after it', () => {
    const fold = new EventFold({ windowMs: 100, maxPending: 10, maxKnown: 40 });
    fold.add(said('a'), 0, DATE);
    const [first] = fold.take();
    fold.add(said('a'), 99, new Date(99));
    expect(fold.take()).toEqual([first]);
    expect([first?.count, first?.lastAt]).toEqual([2, new Date(99)]);
    fold.add(said('a'), 199, new Date(199));
    expect(fold.take()[0]?.count).toBe(1);
  });

  it('counts on for as long as each follows the last within the window', () => {
    const fold = new EventFold({ windowMs: 100, maxPending: 10, maxKnown: 40 });
    for (const now of [0, 60, 120, 180]) fold.add(said('a'), now, new Date(now));
    expect(fold.take().map(({ count, lastAt }) => [count, lastAt])).toEqual([[4, new Date(180)]]);
  });

  it('forgets first what was said longest ago', () => {
    const fold = new EventFold({ windowMs: 1_000, maxPending: 10, maxKnown: 2 });
    for (const [now, name] of ['a', 'b', 'a', 'c', 'a'].entries()) fold.add(said(name), now, DATE);
    expect(fold.take().map(({ object, count }) => [object.metadata.name, count])).toEqual([
      ['a', 3],
      ['b', 1],
      ['c', 1],
    ]);
  });

  it('holds no more than its bounds', () => {
    const fold = new EventFold({ windowMs: 1_000_000, maxPending: 4, maxKnown: 16 });
    const taken = Array.from({ length: 5 }, (_, i) => fold.add(said(`a${i}`), i, DATE));
    expect(taken).toEqual([true, true, true, true, false]);
    for (let i = 0; i < 100; i++) {
      fold.take();
      fold.add(said(`b${i}`), i, DATE);
    }
    expect(fold.known).toBeLessThanOrEqual(4 * 4);
  });

  it('puts back what is to be tried again', () => {
    const fold = new EventFold({ windowMs: 100, maxPending: 4, maxKnown: 16 });
    fold.add(said('a'), 0, DATE);
    const [event] = fold.take();
    fold.again(event!);
    expect([fold.waiting, fold.take()]).toEqual([1, [event]]);
  });
});
